//! Moving a mail away, so that it is not looked at again.

use super::{
    names,
    session::{Imap, ImapError},
};

/// Makes a folder if there is none.
pub(super) async fn ensure(imap: &mut Imap, folder: &str) -> Result<(), ImapError> {
    if imap.has_folder(folder).await? {
        return Ok(());
    }
    let name = names::folder(folder);
    imap.order("make a folder", &format!("CREATE {name}"))
        .await?;
    // Mail programs show what is subscribed to; a server without subscriptions says no.
    match imap.order("subscribe", &format!("SUBSCRIBE {name}")).await {
        Err(ImapError::No { .. }) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Moves a mail of the open folder to another, which somebody may have removed meanwhile.
pub(super) async fn move_to(imap: &mut Imap, uid: u32, folder: &str) -> Result<(), ImapError> {
    match moved(imap, uid, folder).await {
        Err(ImapError::No { .. }) => {
            ensure(imap, folder).await?;
            moved(imap, uid, folder).await
        }
        done => done,
    }
}

async fn moved(imap: &mut Imap, uid: u32, folder: &str) -> Result<(), ImapError> {
    let name = names::folder(folder);
    // RFC 6851 §3.2, RFC 9051 §6.4.8: the one step that is whole or not done.
    if imap.can("MOVE") || imap.can("IMAP4REV2") {
        return imap
            .order("move a mail", &format!("UID MOVE {uid} {name}"))
            .await;
    }
    imap.order("copy a mail", &format!("UID COPY {uid} {name}"))
        .await?;
    let delete = format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)");
    imap.order("mark a mail as deleted", &delete).await?;
    // RFC 4315 §2.1. Without it only EXPUNGE is left, which would also take what others have marked. So the mail stays,
    // marked: it is left out of our searches, and goes with the next EXPUNGE of whoever owns the mailbox.
    if imap.can("UIDPLUS") {
        imap.order("remove a mail", &format!("UID EXPUNGE {uid}"))
            .await?;
    }
    Ok(())
}

/// Marks a mail for the people who look into the mailbox. One that can't be marked is moved all the same.
pub(super) async fn flag(imap: &mut Imap, uid: u32) -> Result<(), ImapError> {
    let flag = format!("UID STORE {uid} +FLAGS.SILENT (\\Flagged)");
    match imap.order("flag a mail", &flag).await {
        Err(ImapError::No { .. }) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}
