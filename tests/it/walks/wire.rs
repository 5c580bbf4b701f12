//! A client without generated code: methods are found by reflection, messages are written as JSON,
//! answers are kept as the bytes that came.

use bytes::{Buf as _, BufMut as _};
use futures_util::stream;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use prost_types::FileDescriptorProto;
use serde_json::Value;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_reflection::pb::v1;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt as _;

/// What every path of the API starts with.
pub(crate) const API: &str = "/stationmaster.v1.";

/// A connection, and the messages it knows.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    channel: Channel,
    pool: DescriptorPool,
}

/// What a call presents.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct As<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) user_token: Option<&'a str>,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
}

impl<'a> As<'a> {
    pub(crate) fn key(key: &'a str) -> Self {
        Self {
            key: Some(key),
            ..Self::default()
        }
    }

    pub(crate) fn user_token(self, token: &'a str) -> Self {
        Self {
            user_token: Some(token),
            ..self
        }
    }

    pub(crate) fn tenant(self, tenant: &'a str) -> Self {
        Self {
            tenant: Some(tenant),
            ..self
        }
    }

    pub(crate) fn request_id(self, id: &'a str) -> Self {
        Self {
            request_id: Some(id),
            ..self
        }
    }
}

/// What came back: of a stream, up to its first message.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: Code,
    /// Of the `ErrorInfo`; empty without one.
    pub(crate) reason: String,
    /// The status in words.
    pub(crate) message: String,
    /// The message as JSON; null without one.
    pub(crate) json: Value,
    /// Everything that came, message, status, details and metadata.
    pub(crate) raw: Vec<u8>,
}

impl Answer {
    /// Whether this text is anywhere in what came.
    pub(crate) fn holds(&self, text: &str) -> bool {
        memmem(&self.raw, text.as_bytes())
    }

    /// The answer of a call that is expected to succeed.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.code, Code::Ok, "{}", self.message);
        self.json
    }
}

/// Whether these bytes are anywhere in those.
pub(crate) fn memmem(within: &[u8], bytes: &[u8]) -> bool {
    within.windows(bytes.len()).any(|window| window == bytes)
}

impl Wire {
    pub(crate) fn new(channel: Channel) -> Self {
        let pool = DescriptorPool::decode(stationmaster::pb::DESCRIPTORS).unwrap();
        Self { channel, pool }
    }

    /// The paths of every method served, by the service's own word.
    pub(crate) async fn methods(&self) -> Vec<String> {
        let list = MessageRequest::ListServices("*".to_owned());
        let MessageResponse::ListServicesResponse(services) = self.reflect(list).await else {
            panic!("reflection does not list services");
        };
        let mut paths = Vec::new();
        for service in services.service.into_iter().map(|service| service.name) {
            let symbol = MessageRequest::FileContainingSymbol(service.clone());
            let MessageResponse::FileDescriptorResponse(files) = self.reflect(symbol).await else {
                panic!("reflection does not know {service}");
            };
            for file in files.file_descriptor_proto {
                let file = FileDescriptorProto::decode(&*file).unwrap();
                for held in &file.service {
                    if format!("{}.{}", file.package(), held.name()) == service {
                        let names = held
                            .method
                            .iter()
                            .map(prost_types::MethodDescriptorProto::name);
                        paths.extend(names.map(|name| format!("/{service}/{name}")));
                    }
                }
            }
        }
        paths
    }

    async fn reflect(&self, ask: MessageRequest) -> MessageResponse {
        let ask = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(ask),
        };
        let answers = ServerReflectionClient::new(self.channel.clone())
            .server_reflection_info(stream::iter([ask]))
            .await;
        let first = answers.unwrap().into_inner().message().await.unwrap();
        first.unwrap().message_response.unwrap()
    }

    fn method(&self, path: &str) -> MethodDescriptor {
        let (service, name) = path.trim_start_matches('/').split_once('/').unwrap();
        let service = self.pool.get_service_by_name(service).unwrap();
        service.methods().find(|one| one.name() == name).unwrap()
    }

    /// Calls a method of the API (`TokenService/Disconnect`) with a message in JSON.
    pub(crate) async fn call(&self, path: &str, who: As<'_>, ask: Value) -> Answer {
        let path = format!("{API}{path}");
        let method = self.method(&path);
        let ask = DynamicMessage::deserialize(method.input(), ask)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let (kept, answered) = self.send(&path, who, ask.encode_to_vec()).await;
        let mut answer = match answered {
            Ok(()) => kept.answer(&Status::ok("")),
            Err(status) => kept.answer(&status),
        };
        if let Some(body) = kept.body {
            let read = DynamicMessage::decode(method.output(), &*body).unwrap();
            answer.json = serde_json::to_value(read).unwrap();
        }
        answer
    }

    /// Calls any method with any bytes.
    pub(crate) async fn code_of(&self, path: &str, who: As<'_>, ask: Vec<u8>) -> Answer {
        let (kept, answered) = self.send(path, who, ask).await;
        kept.answer(&answered.err().unwrap_or_else(|| Status::ok("")))
    }

    async fn send(&self, path: &str, who: As<'_>, ask: Vec<u8>) -> (Kept, Result<(), Status>) {
        let mut kept = Kept::default();
        let sent = self.exchange(path, who, ask, &mut kept).await;
        (kept, sent)
    }

    async fn exchange(
        &self,
        path: &str,
        who: As<'_>,
        ask: Vec<u8>,
        kept: &mut Kept,
    ) -> Result<(), Status> {
        let mut request = Request::new(stream::iter([ask]));
        let headers = [
            ("authorization", who.key.map(|key| format!("Bearer {key}"))),
            (
                "stationmaster-user-token",
                who.user_token.map(str::to_owned),
            ),
            ("stationmaster-tenant", who.tenant.map(str::to_owned)),
            ("x-request-id", who.request_id.map(str::to_owned)),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value.parse().unwrap());
            }
        }
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let response = grpc.streaming(request, path.parse().unwrap(), Raw).await?;
        kept.keep(&format!("{:?}", response.metadata()));
        let mut messages = response.into_inner();
        kept.body = messages.message().await?;
        let unary = path.starts_with(API) && !self.method(path).is_server_streaming();
        if unary && kept.body.is_some() {
            messages.message().await?;
        }
        Ok(())
    }
}

/// What has come so far.
#[derive(Debug, Default)]
struct Kept {
    body: Option<Vec<u8>>,
    raw: Vec<u8>,
}

impl Kept {
    fn keep(&mut self, text: &str) {
        self.raw.extend_from_slice(text.as_bytes());
    }

    fn answer(&self, status: &Status) -> Answer {
        let mut raw = self.raw.clone();
        raw.extend(self.body.iter().flatten());
        raw.extend_from_slice(status.message().as_bytes());
        raw.extend_from_slice(status.details());
        raw.extend_from_slice(format!("{:?}", status.metadata()).as_bytes());
        let info = status.get_error_details().error_info().cloned();
        Answer {
            code: status.code(),
            reason: info.map(|info| info.reason).unwrap_or_default(),
            message: status.message().to_owned(),
            json: Value::Null,
            raw,
        }
    }
}

/// Messages as bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; from.remaining()];
        from.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}
