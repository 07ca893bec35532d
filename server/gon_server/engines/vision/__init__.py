"""The engine of image graphs (gon.vision), by OpenCV on the host's processor."""
