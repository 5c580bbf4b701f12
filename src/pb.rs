//! The generated protobuf modules under short names. Nothing else.

/// `stationmaster.v1`: messages, clients and servers.
#[expect(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::as_conversions,
    clippy::clone_on_ref_ptr,
    unused_qualifications,
    reason = "generated from proto/stationmaster/v1, which holds the documentation"
)]
pub mod v1 {
    tonic::include_proto!("stationmaster.v1");
}

/// The descriptor set of the API, for reflection and the laws of style.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stationmaster.v1.bin"));
