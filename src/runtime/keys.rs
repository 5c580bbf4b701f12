//! The root keys: those given, or one that `--dev` makes and keeps.

use secrecy::SecretString;
use tracing::warn;
use zeroize::Zeroizing;

use super::{Error, files};
use crate::config::Config;
use crate::crypto::RootKeys;
use crate::domain::random::Random;

/// The root keys of these settings. Without any, the one in the data directory, made (0600) when
/// it is missing; outside `--dev` settings without keys do not load.
pub(super) fn root_keys(config: &Config, random: &dyn Random) -> Result<RootKeys, Error> {
    if !config.keys.root_keys.is_empty() {
        return Ok(RootKeys::parse(config.keys.root_keys.as_slice())?);
    }
    let file = config.dev_root_key_file();
    if let Some(text) = files::read(&file)? {
        return Ok(RootKeys::parse(&[SecretString::from(text)])?);
    }
    let text = Zeroizing::new(RootKeys::generate(random).show());
    files::write(&file, &text)?;
    warn!(file.path = %file.display(), "made a root key; what it seals is lost with it");
    Ok(RootKeys::parse(&[SecretString::from(text.as_str())])?)
}
