//! Developer tasks behind the Makefile.
