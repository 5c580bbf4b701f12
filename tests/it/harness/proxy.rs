//! A scripted HTTP proxy on loopback. It notes the head of each request that it gets, and whatever
//! name is asked for, a tunnel leads to 127.0.0.1.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the proxy does when asked for a tunnel.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// It makes one.
    Passes,
    /// It answers with this status.
    Refuses(u16),
    /// It ends the connection.
    Dies,
    /// It takes the request and never answers.
    Silent,
}

/// The proxy. It ends when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut tunnels = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tunnels.spawn(serve(stream, manner, Arc::clone(&noted)));
            }
        });
        Self {
            address,
            heads,
            _serving: serving,
        }
    }

    /// Its URL, with this before the host (`user:password@`, or nothing).
    pub(crate) fn url(&self, user: &str) -> String {
        format!("http://{user}{}", self.address)
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.clone()
    }
}

/// One connection. What fails ends it.
async fn serve(mut client: TcpStream, manner: Manner, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let target = head
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next())
        .map(str::to_owned);
    heads
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head);
    let Some(target) = target else {
        let _ = client
            .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            .await;
        return;
    };
    match manner {
        Manner::Passes => {
            let port: u16 = target.rsplit(':').next().unwrap().parse().unwrap();
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else {
                return;
            };
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
        Manner::Refuses(status) => {
            let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
            let _ = client.write_all(answer.as_bytes()).await;
        }
        Manner::Dies => {}
        Manner::Silent => {
            let _ = client.read_u8().await;
        }
    }
}
