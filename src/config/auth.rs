//! Who may come in: where the users are. Reads no user.

use std::path::PathBuf;

use serde::Serialize;

use super::reader::{Reader, Section};
use super::value;

/// Authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Auth {
    /// The file with the users and their secrets; `None`: enhanced authentication is not offered.
    pub users_file: Option<PathBuf>,
    /// The file that says who may do what; `None`: everybody may do everything.
    pub acl_file: Option<PathBuf>,
    /// The same in mosquitto's syntax, in the place of `acl_file`.
    pub mosquitto_acl_file: Option<PathBuf>,
}

impl Auth {
    /// Whether there is a way for clients to prove who they are, beside certificates.
    pub fn is_configured(&self) -> bool {
        self.users_file.is_some()
    }
}

impl Section for Auth {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option("users_file", &mut self.users_file, value::optional_path);
        reader.option("acl_file", &mut self.acl_file, value::optional_path);
        reader.option("mosquitto_acl_file", &mut self.mosquitto_acl_file, value::optional_path);
    }
}
