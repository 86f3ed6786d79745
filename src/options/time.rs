//! Times as people write them, where they are.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};

use crate::clock::Millis;

/// A time as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    day: Day,
    /// `None`: the whole day is meant.
    time: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// The next time that a clock shows it.
    Next,
    Tomorrow,
    On(Weekday),
    Date(Date),
    /// Minutes from now.
    In(i32),
}

/// The longest `+…`, minutes: what is too far ahead is told when it is settled.
const LONGEST: i32 = 60 * 24 * 1000;

impl When {
    /// Reads `18:00`, `18h30`, `6pm`, `tomorrow 08:00`, `mon 8:00`, `2026-11-30 08:00`, `2026-11-30`, `+90m`, `+2h`, `+1d`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        if let Some(span) = text.strip_prefix('+') {
            let minutes = ahead(span.trim())?;
            return Some(Self {
                day: Day::In(minutes),
                time: None,
            });
        }
        // "2026-11-30T08:00"
        let text = match text.split_once('t') {
            Some((date, time)) if date.parse::<Date>().is_ok() => format!("{date} {time}"),
            _ => text,
        };
        let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
        let rest = rest.trim();
        match day(first) {
            Some(day) => {
                let time = if rest.is_empty() {
                    None
                } else {
                    Some(time(rest)?)
                };
                Some(Self { day, time })
            }
            // "6 pm" has a space too.
            None => Some(Self {
                day: Day::Next,
                time: Some(time(&text)?),
            }),
        }
    }

    /// The first moment that is meant.
    #[must_use]
    pub fn begins(self, from: Millis, zone: &str) -> Millis {
        self.moment(from, zone, Time::midnight())
    }

    /// The last moment that is meant: of a day its end.
    #[must_use]
    pub fn ends(self, from: Millis, zone: &str) -> Millis {
        self.moment(from, zone, Time::constant(23, 59, 59, 0))
    }

    fn moment(self, from: Millis, zone: &str, of_day: Time) -> Millis {
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let start = Timestamp::from_millisecond(from).unwrap_or(Timestamp::UNIX_EPOCH);
        let here = start.to_zoned(zone.clone());
        let time = self.time.unwrap_or(of_day);
        // Out of what a calendar has: so far ahead that it is refused.
        let at = |date: Date| {
            let found = date.to_datetime(time).to_zoned(zone.clone()).ok();
            found.map_or(Millis::MAX / 2, |at| at.timestamp().as_millisecond())
        };
        let after = |days: i32| {
            let date = here.date().checked_add(days.days()).ok();
            date.map_or(Millis::MAX / 2, at)
        };
        match self.day {
            Day::In(minutes) => from + Millis::from(minutes) * 60_000,
            Day::Date(date) => at(date),
            Day::Tomorrow => after(1),
            Day::Next => match after(0) {
                past if past <= from => after(1),
                today => today,
            },
            Day::On(weekday) => {
                let days = i32::from(here.date().weekday().until(weekday));
                match after(days) {
                    past if past <= from => after(days + 7),
                    to_come => to_come,
                }
            }
        }
    }
}

/// Minutes of `90m`, `2h`, `1d`.
fn ahead(span: &str) -> Option<i32> {
    let digits = span.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = span.split_at(digits);
    let unit = match unit.trim() {
        "m" | "min" | "minutes" => 1,
        "h" | "hour" | "hours" | "heures" => 60,
        "d" | "day" | "days" | "j" | "jours" => 24 * 60,
        _ => return None,
    };
    let minutes = count.parse::<i32>().ok()?.checked_mul(unit)?;
    (1..=LONGEST).contains(&minutes).then_some(minutes)
}

fn day(word: &str) -> Option<Day> {
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    Some(match word {
        "tomorrow" | "demain" => Day::Tomorrow,
        "mon" | "monday" | "lundi" => Day::On(Monday),
        "tue" | "tuesday" | "mardi" => Day::On(Tuesday),
        "wed" | "wednesday" | "mercredi" => Day::On(Wednesday),
        "thu" | "thursday" | "jeudi" => Day::On(Thursday),
        "fri" | "friday" | "vendredi" => Day::On(Friday),
        "sat" | "saturday" | "samedi" => Day::On(Saturday),
        "sun" | "sunday" | "dimanche" => Day::On(Sunday),
        // The one order of day and month that nobody reads otherwise.
        date if date.len() == 10 && date.as_bytes().get(4) == Some(&b'-') => {
            Day::Date(date.parse().ok()?)
        }
        _ => return None,
    })
}

/// `18:00`, `18.00`, `1800`, `18h`, `18h30`, `6pm`, `6:30 pm`.
fn time(text: &str) -> Option<Time> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (text, half) = match (text.strip_suffix("pm"), text.strip_suffix("am")) {
        (Some(text), _) => (text.to_owned(), Some(12)),
        (_, Some(text)) => (text.to_owned(), Some(0)),
        _ => (text, None),
    };
    let (hour, minute) = match text.split_once([':', 'h', '.']) {
        Some((hour, "")) if text.ends_with('h') => (hour, "0"),
        Some((hour, minute)) if minute.len() == 2 => (hour, minute),
        Some(_) => return None,
        None if half.is_some() => (text.as_str(), "0"),
        None if text.len() == 4 && text.is_ascii() => text.split_at(2),
        None => return None,
    };
    let digits =
        |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    Time::new(hour, minute, 0, 0).ok()
}
