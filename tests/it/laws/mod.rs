//! The rules of the house that a tool can hold.
//!
//! Each law is a pure function from the sources to the offences it finds, and is itself tested on
//! sources that break it.

mod audit_page;
mod conformance_page;
mod contracts;
mod dependencies;
mod dependencies_page;
mod edge_cases;
mod files;
mod imports;
mod methods;
mod parity;
mod paths;
mod profiles;
mod proofs;
mod proto;
mod proto_style;
mod reasons;
mod schema;
mod sealed;
mod secrets;
mod security_page;
mod source;
mod statements;
mod twins;
