"""What the core needs from outside, each as a protocol with its laws in prose."""
