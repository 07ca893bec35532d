"""The daemon that exports accelerator units: control plane, leases, workers, device backends."""
