//! Messages as JSON, both ways, in protobuf's own mapping: field names as in the proto, enum values
//! by name, times in RFC 3339, durations as `30s`, bytes in base64. Numbers of 64 bits are numbers.
//! Fields without a value are written too, except messages and `optional` fields that are absent.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;

use crate::pb::DESCRIPTORS;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok());

/// Why a message cannot be read from JSON.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// The message as JSON.
///
/// Holds whatever the message holds, secrets included.
pub fn write<M: Message + Name>(message: &M) -> Value {
    let Some(mut dynamic) = descriptor::<M>().map(DynamicMessage::new) else {
        return Value::Null;
    };
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false)
        .skip_default_fields(false);
    let copied = dynamic.transcode_from(message);
    let written =
        copied.map(|()| dynamic.serialize_with_options(serde_json::value::Serializer, &options));
    match written {
        Ok(Ok(value)) => value,
        // Both are generated from the same proto.
        Ok(Err(_)) | Err(_) => Value::Null,
    }
}

/// The message that JSON describes. Unknown fields and values are an [`Error`] that names them.
pub fn read<M: Message + Name + Default>(json: &str) -> Result<M, Error> {
    let descriptor = descriptor::<M>().ok_or_else(|| Error("is no message".to_owned()))?;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let dynamic = DynamicMessage::deserialize(descriptor, &mut deserializer)
        .and_then(|message| deserializer.end().map(|()| message))
        .map_err(|error| Error(error.to_string()))?;
    dynamic
        .transcode_to()
        .map_err(|error| Error(error.to_string()))
}

fn descriptor<M: Name>() -> Option<MessageDescriptor> {
    POOL.as_ref()?.get_message_by_name(&M::full_name())
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::client::v1;

    #[test]
    fn json_has_the_names_of_the_proto() {
        let message = v1::ListTenantsResponse {
            tenants: vec![v1::Tenant {
                id: "acme".to_owned(),
                state: v1::TenantState::Active.into(),
                create_time: Some(Timestamp {
                    seconds: 1_767_225_600,
                    nanos: 0,
                }),
                ..Default::default()
            }],
            next_page_token: String::new(),
        };

        let written = write(&message);

        assert_eq!(
            written,
            json!({
                "tenants": [{
                    "id": "acme",
                    "display_name": "",
                    "state": "TENANT_STATE_ACTIVE",
                    "create_time": "2026-01-01T00:00:00Z",
                    "etag": "",
                }],
                "next_page_token": "",
            })
        );
    }

    #[test]
    fn revisions_are_numbers() {
        let written = write(&v1::DisconnectResponse { revision: 1 << 40 });

        assert_eq!(written, json!({ "revision": 1_099_511_627_776_i64 }));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let server = v1::Server {
            display_name: "Tools".to_owned(),
            enabled: true,
            auth: Some(v1::server::Auth::Oauth2(v1::OAuth2Auth {
                scopes: vec!["read".to_owned()],
                ..Default::default()
            })),
            ..Default::default()
        };

        let read: v1::Server = read(&write(&server).to_string()).unwrap();

        assert_eq!(read, server);
    }

    #[test]
    fn a_field_that_is_none_is_named() {
        let error = read::<v1::Server>(r#"{"displayname":"Tools"}"#).unwrap_err();

        assert!(error.to_string().contains("displayname"), "{error}");
    }
}
