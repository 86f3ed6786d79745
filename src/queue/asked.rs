//! What is asked of a fax, over what its sender's profile says.

use super::claim::Job;
use crate::{
    options::Options,
    people::{Paper, Settings},
    policy::Sending,
};

/// The rules of sending for one fax.
pub(super) fn sending(profile: &Sending, options: &Options) -> Sending {
    let mut sending = profile.clone();
    if let Some(cover) = &options.cover {
        sending.cover.clone_from(cover);
    }
    sending.body = options.body.unwrap_or(sending.body);
    sending.tone = options.tone.unwrap_or(sending.tone);
    sending.priority = options.priority.unwrap_or(sending.priority);
    sending.max_calls = options.calls.unwrap_or(sending.max_calls);
    sending.max_tries = options.tries.unwrap_or(sending.max_tries);
    if options.calls.is_some() || options.tries.is_some() {
        let calls = options.calls.or(options.tries).unwrap_or_default();
        // More calls than the row has waits: its last wait comes again.
        let rows = &mut sending.wait_s;
        let all = [
            &mut rows.busy,
            &mut rows.no_answer,
            &mut rows.protocol,
            &mut rows.no_fax,
        ];
        for row in all {
            if let Some(&last) = row.last()
                && row.len() < calls as usize
            {
                row.resize(calls as usize, last);
            }
        }
        // Who asks for so many tries means calls enough for them.
        sending.max_calls = sending.max_calls.max(options.tries.unwrap_or(0));
    }
    sending
}

/// What applies to the pages and the line of one fax.
pub(super) fn settings(of_user: &Settings, options: &Options) -> Settings {
    use faxpost_paper::Paper as Sheet;
    let paper = options.paper.map(|paper| match paper {
        Sheet::A4 => Paper::A4,
        Sheet::Letter => Paper::Letter,
        Sheet::Legal => Paper::Legal,
    });
    Settings {
        resolution: options.resolution.unwrap_or(of_user.resolution),
        paper: paper.unwrap_or(of_user.paper),
        caller_number: options.caller.clone().or(of_user.caller_number.clone()),
        ..of_user.clone()
    }
}

/// The jobs of a submission by what is asked of their pages: those of one kind share them.
pub(super) fn kinds(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let of_pages = |job: &Job| {
        let Options {
            resolution,
            paper,
            cover,
            body,
            tone,
            ..
        } = &job.options;
        (*resolution, *paper, cover.clone(), *body, *tone)
    };
    let mut kinds: Vec<Vec<Job>> = Vec::new();
    for job in jobs {
        let same = kinds
            .iter_mut()
            .find(|kind| kind.first().map(of_pages) == Some(of_pages(&job)));
        match same {
            Some(kind) => kind.push(job),
            None => kinds.push(vec![job]),
        }
    }
    kinds
}

#[cfg(test)]
mod tests {
    use faxpost_t4::Resolution;

    use super::*;

    #[test]
    fn what_is_asked_stands_over_the_profile() {
        let profile = Sending::load(None).unwrap();
        let options = Options {
            cover: Some("none".into()),
            priority: Some(1),
            tries: Some(6),
            ..Options::default()
        };
        let asked = sending(&profile, &options);
        assert_eq!((asked.cover.as_str(), asked.priority), ("none", 1));
        assert_eq!(asked.max_tries, 6);
        assert!(asked.wait_s.protocol.len() >= 6);
        assert_eq!(asked.body, profile.body);
        let fewer = sending(
            &profile,
            &Options {
                calls: Some(1),
                ..Options::default()
            },
        );
        assert_eq!(
            (fewer.max_calls, fewer.wait_s.busy.len()),
            (1, profile.wait_s.busy.len())
        );
        // A row that says never again stays so.
        let mut never = profile;
        never.wait_s.no_fax.clear();
        assert!(sending(&never, &options).wait_s.no_fax.is_empty());
    }

    #[test]
    fn jobs_share_pages_that_are_asked_for_alike() {
        let job = |resolution: Option<Resolution>, code: &str| {
            let mut job = Job::for_testing();
            job.options.resolution = resolution;
            job.options.code = Some(code.into());
            job
        };
        let fine = Some(Resolution::Fine);
        let all = kinds(vec![job(fine, "1"), job(None, "1"), job(fine, "2")]);
        let lengths: Vec<usize> = all.iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1]);
    }
}
