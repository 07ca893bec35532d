"""Device backends: one file each, all implementing gon.device.HostDevice."""
