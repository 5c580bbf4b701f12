//! The wire between one replica and PostgreSQL: forwards what either says, until it is mute. Then
//! nothing gets through and nobody is told, as when a router between them dies or forgets.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

/// What gets through.
#[derive(Debug, Clone, Copy, Default)]
struct Through {
    mute: bool,
    /// How often the connections that there were have been forgotten.
    forgotten: u64,
}

/// The wire. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    through: Arc<watch::Sender<Through>>,
    pub(super) port: u16,
}

impl Wire {
    /// Lays it on a port of loopback, to a Unix socket.
    pub(super) async fn lay(port: u16, socket: PathBuf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.expect("a free port can be bound");
        let through = Arc::new(watch::channel(Through::default()).0);
        let mut watched = through.subscribe();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    // The wire is gone.
                    Err(_) = watched.wait_for(|_| false) => return,
                };
                let Ok((near, _)) = accepted else { continue };
                let (socket, watched) = (socket.clone(), watched.clone());
                tokio::spawn(async move {
                    // A server that is down refuses, and so does the wire.
                    let Ok(far) = UnixStream::connect(socket).await else {
                        return;
                    };
                    let _ = near.set_nodelay(true);
                    let born = watched.borrow().forgotten;
                    let (mut near_reads, mut near_writes) = near.into_split();
                    let (mut far_reads, mut far_writes) = far.into_split();
                    let mut other = watched.clone();
                    let mut watched = watched;
                    tokio::join!(
                        carry(&mut near_reads, &mut far_writes, &mut watched, born),
                        carry(&mut far_reads, &mut near_writes, &mut other, born),
                    );
                });
            }
        });
        Self { through, port }
    }

    /// Lets nothing through from now on.
    pub(crate) fn mute(&self) {
        self.through.send_modify(|through| through.mute = true);
    }

    /// Goes on where it stopped.
    pub(crate) fn unmute(&self) {
        self.through.send_modify(|through| through.mute = false);
    }

    /// Old connections are silent for good; new ones work.
    pub(crate) fn forget(&self) {
        self.through.send_modify(|through| through.forgotten += 1);
    }
}

/// Carries one direction to its end. What arrives while the wire is mute waits.
async fn carry(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    through: &mut watch::Receiver<Through>,
    born: u64,
) {
    let passes = |through: &Through| !through.mute && through.forgotten == born;
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).await;
        // The end of a connection is as mute as what is said on it.
        if through.wait_for(passes).await.is_err() {
            return;
        }
        match read {
            Ok(count) if count > 0 => {
                if to.write_all(&bytes[..count]).await.is_err() {
                    return;
                }
            }
            Ok(_) | Err(_) => {
                let _ = to.shutdown().await;
                return;
            }
        }
    }
}
