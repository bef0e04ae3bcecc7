//! The configuration as an operator meets it: files, variables, and the faults in them.
