//! When faxes may be called: hours of the week where the tenant is.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use crate::clock::Millis;

const DAY: usize = 24 * 60;
const WEEK: usize = 7 * DAY;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Minutes of the week, Monday 00:00 first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours(Vec<bool>);

impl Hours {
    /// Every minute.
    #[must_use]
    pub fn always() -> Self {
        Self(vec![true; WEEK])
    }

    /// Reads `mon-fri 08:00-18:00; sat,sun 09:00-12:00`; without days it is every day, and a span that ends
    /// before it begins goes over midnight. `None`: it can't be read.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut minutes = vec![false; WEEK];
        for part in text.split(';') {
            let mut words: Vec<&str> = part.split_whitespace().collect();
            let times = words.pop()?;
            let days = match words.as_slice() {
                [] => (0..7).collect(),
                [days] => read_days(days)?,
                _ => return None,
            };
            for span in times.split(',') {
                let (from, to) = span.split_once('-')?;
                let (from, to) = (read_time(from)?, read_time(to)?);
                let length = if to > from {
                    to - from
                } else {
                    to + DAY - from
                };
                if from == DAY || length == 0 {
                    return None;
                }
                for day in &days {
                    for minute in 0..length {
                        minutes[(day * DAY + from + minute) % WEEK] = true;
                    }
                }
            }
        }
        Some(Self(minutes))
    }

    /// These hours but for the quiet ones.
    #[must_use]
    pub fn without(mut self, quiet: &Self) -> Self {
        for (open, quiet) in self.0.iter_mut().zip(&quiet.0) {
            *open &= !quiet;
        }
        self
    }

    /// Whether there is any.
    #[must_use]
    pub fn ever(&self) -> bool {
        self.0.contains(&true)
    }

    /// `at` itself when it is within these hours, else when they begin next; `None`: never.
    ///
    /// `zone` is an IANA name; one that this machine doesn't know counts as UTC, as in mails.
    #[must_use]
    pub fn next(&self, at: Millis, zone: &str) -> Option<Millis> {
        if !self.ever() {
            return None;
        }
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let mut at = at;
        // An hour that the clocks skip ends the search elsewhere than it looked: then it goes on from there.
        for _ in 0..4 {
            let local = Timestamp::from_millisecond(at).ok()?.to_zoned(zone.clone());
            let today = usize::try_from(local.weekday().to_monday_zero_offset()).ok()?;
            let now =
                usize::try_from(local.hour()).ok()? * 60 + usize::try_from(local.minute()).ok()?;
            let ahead = (0..=WEEK).find(|n| self.0[(today * DAY + now + n) % WEEK])?;
            if ahead == 0 {
                return Some(at);
            }
            let (days, minute) = ((now + ahead) / DAY, (now + ahead) % DAY);
            let date = local
                .date()
                .checked_add(i64::try_from(days).ok()?.days())
                .ok()?;
            let (hour, minute) = (
                i8::try_from(minute / 60).ok()?,
                i8::try_from(minute % 60).ok()?,
            );
            let opens = date.at(hour, minute, 0, 0).to_zoned(zone.clone()).ok()?;
            let opens = opens.timestamp().as_millisecond();
            // When clocks go back, the hour that comes twice may lie behind us.
            at = if opens > at { opens } else { at + 60_000 };
        }
        Some(at)
    }
}

fn read_days(text: &str) -> Option<Vec<usize>> {
    let day = |name: &str| {
        let name = name.to_ascii_lowercase();
        DAYS.iter().position(|day| *day == name)
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((from, to)) => {
                let (from, to) = (day(from)?, day(to)?);
                let length = (to + 7 - from) % 7;
                days.extend((0..=length).map(|n| (from + n) % 7));
            }
            None => days.push(day(part)?),
        }
    }
    Some(days)
}

/// Minutes from midnight; 24:00 is the end of the day.
fn read_time(text: &str) -> Option<usize> {
    let (hour, minute) = text.split_once(':')?;
    if hour.len() > 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (usize, usize) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn next(hours: &Hours, from: &str, zone: &str) -> String {
        let opens = hours.next(at(from), zone).unwrap();
        Timestamp::from_millisecond(opens).unwrap().to_string()
    }

    #[test]
    fn office_hours_open_where_the_tenant_is() {
        let office = Hours::read("mon-fri 08:00-18:00; sat 09:00-12:00").unwrap();
        for (from, opens) in [
            // Paris is an hour ahead in winter. 2026-01-05 is a Monday.
            ("2026-01-05T07:00:00Z", "2026-01-05T07:00:00Z"),
            ("2026-01-05T06:59:59Z", "2026-01-05T07:00:00Z"),
            ("2026-01-05T16:59:59Z", "2026-01-05T16:59:59Z"),
            ("2026-01-05T17:00:00Z", "2026-01-06T07:00:00Z"),
            ("2026-01-09T17:00:00Z", "2026-01-10T08:00:00Z"),
            ("2026-01-10T11:00:00Z", "2026-01-12T07:00:00Z"),
            // Two hours ahead in summer; the clocks change in that night.
            ("2026-03-28T12:00:00Z", "2026-03-30T06:00:00Z"),
            ("2026-10-24T12:00:00Z", "2026-10-26T07:00:00Z"),
        ] {
            assert_eq!(next(&office, from, "Europe/Paris"), opens, "{from}");
        }
        assert_eq!(
            next(&office, "2026-01-05T17:00:00Z", "America/New_York"),
            "2026-01-05T17:00:00Z"
        );
    }

    #[test]
    fn quiet_hours_are_taken_away_and_may_go_over_midnight() {
        let night = Hours::read("22:00-06:00").unwrap();
        let day = Hours::always().without(&night);
        assert_eq!(
            next(&day, "2026-01-05T23:00:00Z", "UTC"),
            "2026-01-06T06:00:00Z"
        );
        assert_eq!(
            next(&day, "2026-01-05T06:00:00Z", "UTC"),
            "2026-01-05T06:00:00Z"
        );
        let never = Hours::read("mon 23:00-24:00").unwrap().without(&night);
        assert!(!never.ever());
        assert_eq!(never.next(0, "UTC"), None);
        // Sunday's night goes over into Monday.
        let sunday = Hours::read("sun 22:00-06:00").unwrap();
        assert_eq!(
            next(&sunday, "2026-01-05T05:59:00Z", "UTC"),
            "2026-01-05T05:59:00Z"
        );
        assert_eq!(
            next(&sunday, "2026-01-05T06:00:00Z", "UTC"),
            "2026-01-11T22:00:00Z"
        );
    }

    #[test]
    fn an_hour_that_the_clocks_skip_opens_when_they_have() {
        let skipped = Hours::read("sun 02:00-03:30").unwrap();
        assert_eq!(
            next(&skipped, "2026-03-28T12:00:00Z", "Europe/Paris"),
            "2026-03-29T01:00:00Z"
        );
        // The hour that comes twice is open both times.
        let twice = Hours::read("sun 02:00-03:00").unwrap();
        for within in ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"] {
            assert_eq!(next(&twice, within, "Europe/Paris"), within);
        }
    }

    #[test]
    fn what_is_no_hours_is_not_read() {
        for text in [
            "",
            "always",
            "08:00",
            "8-18",
            "mon",
            "mon-fri",
            "foo 08:00-18:00",
            "08:00-25:00",
            "08:60-09:00",
            "mon tue 08:00-09:00",
            "08:00-18:00;",
            "24:00-06:00",
            "-",
            ":-:",
            "8:0-9:0",
        ] {
            assert_eq!(Hours::read(text), None, "{text:?}");
        }
        assert_eq!(Hours::read("00:00-24:00"), Some(Hours::always()));
        assert_eq!(
            Hours::read("fri-mon 8:00-9:00"),
            Hours::read("fri,sat,SUN,mon 08:00-09:00")
        );
        // From the clock to the same clock is a whole day.
        assert_eq!(Hours::read("07:00-07:00"), Some(Hours::always()));
    }
}
