//! BDAT: a message in chunks that are counted (RFC 3030 §2).

use super::{Gone, Next, Session};
use crate::front::smtp::{
    data::{self, Chunk, Chunks},
    replies,
};

impl Session {
    /// A chunk is read to its end whatever is answered: its octets must never become commands.
    pub(super) async fn chunk(&mut self, octets: usize, last: bool) -> Result<Next, Gone> {
        if octets > self.shared.limits.max_size {
            // Too much to read for nothing.
            return Ok(self.end(&replies::too_large(self.shared.limits.max_size)));
        }
        let fault = match (&self.greeting, &self.open) {
            (None, _) => Some(replies::greet_first()),
            (_, None) => Some(replies::mail_first()),
            (_, Some(open)) if open.taken.is_empty() => Some(replies::recipients_first()),
            _ => None,
        };
        if let Some(fault) = fault {
            let wire = self.wire.as_mut().ok_or(Gone)?;
            if !data::skip(wire, &mut self.input, &self.shared.limits, octets).await {
                return Ok(self.end(&replies::too_slow()));
            }
            return Ok(self.refuse(fault));
        }
        let trace = self.trace();
        let (Some(open), Some(wire)) = (&mut self.open, &mut self.wire) else {
            return Err(Gone);
        };
        let shared = &self.shared;
        let chunks = open.chunks.get_or_insert_with(|| {
            Chunks::new(&shared.limits, &shared.budget, &trace, open.declared)
        });
        match chunks
            .read(wire, &mut self.input, &shared.limits, octets)
            .await
        {
            Chunk::Read if last => {}
            Chunk::Read => return Ok(self.answer(&replies::chunk_ok(octets))),
            // What follows of this mail finds none open, and is refused.
            Chunk::Refused(answer) => {
                tracing::info!(session = %self.id, code = answer.code, "message refused");
                return Ok(match (last, self.open.take()) {
                    (true, Some(open)) => self.say_for_each(&open.taken, &answer),
                    _ => self.answer(&answer),
                });
            }
            Chunk::Broken(answer) => return Ok(self.end(&answer)),
            Chunk::Gone => return Err(Gone),
        }
        let Some(mut open) = self.open.take() else {
            return Err(Gone);
        };
        match open.chunks.take() {
            Some(chunks) => self.judge(open, chunks.finish().await).await,
            None => Err(Gone),
        }
    }
}
