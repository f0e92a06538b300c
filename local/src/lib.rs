//! A real Kubernetes node from packages, and the images it runs.
