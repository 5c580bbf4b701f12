//! The last moment before a request is written: what comes too late leaves no byte on the wire.

use std::time::{Duration, Instant};

use stationmaster::domain::time::{Clock, SystemClock};
use stationmaster::fetch::{Cause, Error, Policy, Request, Response};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use url::Url;

use super::{IMPATIENCE, PATIENCE, fetch};
use crate::harness::web::{Reply, Web};

/// A point so far from now.
fn after(from_now: Duration) -> Instant {
    let clock = SystemClock::new();
    clock.instant(clock.monotonic() + from_now)
}

async fn post(url: &str, before: Instant, deadline: Duration) -> Result<Response, Error> {
    let request = Request::post_json(Url::parse(url).unwrap(), "{}")
        .policy(Policy::Local)
        .deadline(deadline)
        .send_before(before);
    fetch().send(request).await
}

/// Every byte that the other side wrote.
async fn all(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn not_sent(answer: Result<Response, Error>) -> Cause {
    match answer {
        Err(Error::NotSent { cause, .. }) => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_in_time_is_sent_whole() {
    let web = Web::start().await;
    web.on("/", Reply::status(204));

    let answer = post(&web.url("/"), after(PATIENCE), PATIENCE).await;

    assert_eq!(answer.unwrap().status, 204);
    let seen = &web.seen()[0];
    assert_eq!(seen.body, "{}");
    assert_eq!(seen.header("content-length"), Some("2"));
    assert_eq!(seen.header("transfer-encoding"), None);
}

#[tokio::test]
async fn a_request_whose_time_is_over_leaves_no_byte_on_the_wire() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let wire = async { all(listener.accept().await.unwrap().0).await };

    let (answer, wire) = tokio::join!(post(&url, after(Duration::ZERO), PATIENCE), wire);

    assert_eq!(not_sent(answer), Cause::TooLate);
    assert_eq!(wire, b"");
}

#[tokio::test]
async fn a_request_whose_time_ends_while_it_connects_leaves_no_byte_on_the_wire() {
    // One connection fills the queue; the next one connects when the first was taken out.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _first = TcpStream::connect(address).await.unwrap();
    let (url, before) = (format!("http://{address}/"), after(IMPATIENCE));

    let wire = async {
        tokio::time::sleep_until(before.into()).await;
        let _first = listener.accept().await.unwrap();
        all(listener.accept().await.unwrap().0).await
    };
    let (answer, wire) = tokio::join!(post(&url, before, PATIENCE), wire);

    assert_eq!(not_sent(answer), Cause::TooLate);
    assert_eq!(wire, b"");
}

#[tokio::test]
async fn a_deadline_that_passes_before_anything_was_written_is_certain() {
    // Takes connections and never agrees on TLS.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let request = Request::post_json(Url::parse(&url).unwrap(), "{}")
        .policy(Policy::Local)
        .deadline(IMPATIENCE);

    let answer = fetch().send(request).await;

    assert_eq!(not_sent(answer), Cause::Deadline);
}

#[tokio::test]
async fn a_request_without_body_cannot_be_held_to_a_time_and_is_not_sent() {
    let web = Web::start().await;
    let request = Request::document(Url::parse(&web.url("/")).unwrap())
        .policy(Policy::Local)
        .send_before(after(PATIENCE));

    let answer = fetch().send(request).await;

    assert_eq!(not_sent(answer), Cause::Request);
    assert!(web.seen().is_empty());
}
