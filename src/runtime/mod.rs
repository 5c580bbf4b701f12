//! The composition root: it wires, binds and serves, and decides nothing.
