//! Walks over every method that is really served, as reflection tells it: who may call what, and
//! what one tenant can learn of another or do to it.

mod asks;
mod roles;
pub(crate) mod rows;
mod tenants;
mod tokens;
pub(crate) mod wire;
pub(crate) mod world;
