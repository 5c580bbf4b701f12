//! What the words mean. Pure, synchronous, total: no I/O, no wire, no database.
pub mod authorization;
pub mod ids;
pub mod random;
pub mod secrets;
pub mod text;
pub mod time;
