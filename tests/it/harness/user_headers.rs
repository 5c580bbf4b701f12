//! Header values as their users supply them, and a server that wants some.

use stationmaster::client::{Error, answer, v1};
use v1::ServerStatus as Status;
use v1::server::Auth;

use super::client::actor;
use super::world::{World, with_auth};

pub(crate) const URL: &str = "https://a.example.com/mcp";

pub(crate) fn header(name: &str) -> v1::UserHeaderDeclaration {
    v1::UserHeaderDeclaration {
        name: name.to_owned(),
        description: format!("where {name} is found"),
        can_be_missing: false,
    }
}

/// One header of the administrator's, and these of each user's.
pub(crate) fn custom(user_headers: Vec<v1::UserHeaderDeclaration>) -> Auth {
    let ours = v1::CustomHeader {
        name: "X-Ours".to_owned(),
        value: Some("ours".to_owned()),
    };
    Auth::CustomHeaders(v1::CustomHeadersAuth {
        headers: vec![ours],
        user_headers,
    })
}

pub(crate) fn per_user_key() -> Auth {
    Auth::ApiKey(v1::ApiKeyAuth {
        header: "X-Key".to_owned(),
        per_user: true,
        description: "yours".to_owned(),
        value: None,
    })
}

/// A server that wants `X-Token` and `X-Team` of its users.
pub(crate) async fn found(world: &World, slug: &str) -> v1::Server {
    let auth = custom(vec![header("X-Token"), header("X-Team")]);
    let server = with_auth(slug, URL.to_owned(), auth);
    world.create(server).await.unwrap()
}

pub(crate) fn values(
    (user, server): (&str, &str),
    values: &[(&str, &str)],
) -> v1::SetUserHeadersRequest {
    let headers = values.iter().map(|(name, value)| v1::UserHeaderValue {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    });
    v1::SetUserHeadersRequest {
        actor: actor(user),
        server: server.to_owned(),
        headers: headers.collect(),
    }
}

pub(crate) async fn set(
    world: &World,
    whose: (&str, &str),
    given: &[(&str, &str)],
) -> Result<v1::SetUserHeadersResponse, Error> {
    answer(world.daemon.tokens().set_user_headers(values(whose, given))).await
}

/// Supplies both values that `found` wants.
pub(crate) async fn supply(world: &World, user: &str, server: &str, value: &str) {
    let team = format!("{value}-team");
    let both = [("X-Token", value), ("X-Team", &*team)];
    set(world, (user, server), &both).await.unwrap();
}

pub(crate) async fn get(
    world: &World,
    user: &str,
    server: &str,
) -> Result<Vec<v1::UserHeader>, Error> {
    let request = v1::GetUserHeadersRequest {
        actor: actor(user),
        server: server.to_owned(),
    };
    let read = answer(world.daemon.tokens().get_user_headers(request)).await;
    read.map(|read| read.headers)
}

pub(crate) async fn delete(world: &World, user: &str, server: &str) -> i64 {
    let request = v1::DeleteUserHeadersRequest {
        actor: actor(user),
        server: server.to_owned(),
    };
    let gone = answer(world.daemon.tokens().delete_user_headers(request)).await;
    gone.unwrap().revision
}

/// The headers of a server that is ready.
pub(crate) async fn sent(world: &World, user: &str, server: &str) -> Vec<String> {
    let resolved = world.resolve(user, server).await;
    assert_eq!(resolved.status(), Status::Ready, "{resolved:?}");
    let headers = resolved.headers.into_iter();
    headers
        .map(|header| format!("{}: {}", header.name, header.value))
        .collect()
}

/// The headers that a user has yet to supply.
pub(crate) async fn missing(world: &World, user: &str, server: &str) -> Vec<String> {
    let resolved = world.resolve(user, server).await;
    assert_eq!(
        resolved.status(),
        Status::MissingUserHeaders,
        "{resolved:?}"
    );
    assert!(resolved.headers.is_empty());
    resolved.missing_headers
}
