//! The LotoAI operator: everything that reads from or writes to the cluster.
