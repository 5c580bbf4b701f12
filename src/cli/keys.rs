//! `keys …`: root keys, made on this machine.

use clap::{Args, Subcommand};

use super::output::Output;
use crate::crypto::RootKeys;
use crate::domain::random::SystemRandom;

/// `keys …`.
#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a root key and print it, and nothing else
    ///
    /// 32 random bytes in base64. It is stored nowhere: without it nothing sealed can be read again.
    #[command(
        after_long_help = "Example:\n  (umask 077; stationmaster keys generate > root.key)\n  \
                                 STATIONMASTER_KEYS__ROOT_KEYS_FILE=root.key stationmaster serve …"
    )]
    Generate,
}

impl Keys {
    pub(super) fn run(self, out: &Output) {
        let Action::Generate = self.action;
        let key = RootKeys::generate(&SystemRandom::new());
        out.text(&key.show());
    }
}
