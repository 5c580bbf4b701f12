//! Which process sent a request: the socket's inode by the kernel's table, its owner by the open
//! files of the processes in question. One thread looks, for all who ask meanwhile at once: the table
//! takes milliseconds to read, however short it is.

use std::collections::HashMap;
use std::fs;
use std::sync::mpsc;

use tokio::sync::oneshot;

/// A question: the port at the other end, the processes in question, and whom to tell.
#[derive(Debug)]
struct Question {
    port: u16,
    pids: Vec<u32>,
    tell: oneshot::Sender<Option<u32>>,
}

/// Asks the thread that looks. It ends with the last of these.
#[derive(Debug, Clone)]
pub(crate) struct Finder(mpsc::Sender<Question>);

impl Finder {
    /// For connections to a port of this machine.
    pub(crate) fn start(own: u16) -> Self {
        let (ask, asked) = mpsc::channel::<Question>();
        std::thread::spawn(move || {
            while let Ok(first) = asked.recv() {
                let questions: Vec<Question> =
                    std::iter::once(first).chain(asked.try_iter()).collect();
                let inodes = inodes(own);
                let mut owners = HashMap::new();
                for question in questions {
                    let inode = inodes.get(&question.port);
                    let owner = inode.and_then(|inode| {
                        let holds = |pid: &u32| files(*pid, &mut owners).contains(inode);
                        question.pids.iter().copied().find(holds)
                    });
                    let _ = question.tell.send(owner);
                }
            }
        });
        Self(ask)
    }

    /// The process that holds the other end; known soon, while it is open.
    pub(crate) fn owner(&self, port: u16, pids: Vec<u32>) -> oneshot::Receiver<Option<u32>> {
        let (tell, told) = oneshot::channel();
        let _ = self.0.send(Question { port, pids, tell });
        told
    }
}

/// The inodes of the sockets that lead to a port, by their own ports.
fn inodes(to: u16) -> HashMap<u16, u64> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let to = format!(":{to:04X}");
    let entry = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote) = (fields.next()?, fields.next()?);
        if !remote.ends_with(&to) {
            return None;
        }
        let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        // state, queues, timer, retransmissions, account, timeout, inode
        let inode: u64 = fields.nth(6)?.parse().ok()?;
        (inode != 0).then_some((port, inode))
    };
    table.lines().skip(1).filter_map(entry).collect()
}

/// The inodes of a process's sockets, looked up once for all questions.
fn files(pid: u32, known: &mut HashMap<u32, Vec<u64>>) -> &Vec<u64> {
    known.entry(pid).or_insert_with(|| {
        let files = fs::read_dir(format!("/proc/{pid}/fd"));
        let inode = |file: fs::DirEntry| {
            let target = fs::read_link(file.path()).ok()?;
            let name = target.to_str()?.strip_prefix("socket:[")?;
            name.strip_suffix(']')?.parse().ok()
        };
        files
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(inode)
            .collect()
    })
}
