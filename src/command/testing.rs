//! A gateway for commands that are tried without one.

use std::{path::Path, sync::Arc};

use super::{Attachment, Gateway};
use crate::{
    policy::Policies,
    store::Store,
    worker::{Kind, Limits, Program, paper::PaperPool},
};

/// Carries out a command by the built-in rules. It has no paper worker to draw with.
pub(super) async fn run(
    store: &Store,
    keys: &Path,
    line: &str,
    attached: &[Attachment],
) -> Result<String, String> {
    let policies = Policies::load(None).unwrap();
    let limits = Limits::of(Kind::Paper);
    let paper = PaperPool::on_demand(Program::at("/nowhere/faxpost"), limits, Arc::default());
    let gateway = Gateway {
        store,
        keys,
        hostname: "gw",
        sending: &policies.sending,
        covers: &policies.covers,
        paper: &paper,
        attached,
    };
    super::run(gateway, &super::words(line))
        .await
        .map_err(|error| error.to_string())
}
