//! `lepus top`: the queues, as they are now.

use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use ratatui::Frame;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, poll, read};
use ratatui::layout::{Alignment, Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Text;
use ratatui::widgets::{Cell, Paragraph, Row, Table, Wrap};
use serde_json::Value;

use super::client::{path, with_query};
use super::failure::Done;
use super::health;
use super::reach::{Reach, Session};
use super::table::{self, Column, find, rows, text, wanted};

const COLUMNS: &[Column] = &[
    Column::text("queue", "name"),
    Column::text("vhost", "vhost"),
    Column::text("state", "state"),
    Column::count("ready", "messages_ready"),
    Column::count("unacked", "messages_unacknowledged"),
    Column::octets("size", "message_bytes"),
    Column::count("consumers", "consumers"),
    Column::rate("in/s", "message_stats.publish_details.rate"),
    Column::rate("out/s", "message_stats.deliver_get_details.rate"),
    Column::rate("acks/s", "message_stats.ack_details.rate"),
];

/// Columns of text, which stand to the left.
const TEXTS: usize = 3;

/// Queues that are asked for.
const QUEUES: &str = "200";

const KEYS: &str = "q quit   m messages   u unacked   i in/s   o out/s   c consumers   n name";

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Sort {
    Messages,
    Unacked,
    In,
    Out,
    Consumers,
    Name,
}

impl Sort {
    fn field(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Unacked => "messages_unacknowledged",
            Self::In => "message_stats.publish_details.rate",
            Self::Out => "message_stats.deliver_get_details.rate",
            Self::Consumers => "consumers",
            Self::Name => "name",
        }
    }

    fn of_key(key: char) -> Option<Self> {
        Some(match key {
            'm' => Self::Messages,
            'u' => Self::Unacked,
            'i' => Self::In,
            'o' => Self::Out,
            'c' => Self::Consumers,
            'n' => Self::Name,
            _ => return None,
        })
    }
}

/// Arguments of `lepus top`.
#[derive(Args)]
pub struct TopArgs {
    #[command(flatten)]
    reach: Reach,
    /// What comes first.
    #[arg(long, default_value = "messages")]
    sort: Sort,
    /// Time between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    interval: u64,
    /// Look once and print it, as where there is no terminal.
    #[arg(long)]
    once: bool,
}

/// Runs `lepus top`.
pub fn run(args: &TopArgs) -> Done {
    let session = args.reach.session()?;
    if args.once || session.json || !stdout().is_terminal() {
        let seen = look(&session, args.sort)?;
        return match session.json {
            true => session.show(&seen.queues.into()),
            false => {
                table::write(&seen.head)?;
                table::print(&seen.queues, COLUMNS)
            }
        };
    }
    // Before the screen is changed: what is wrong is said where it can be read.
    let first = look(&session, args.sort)?;
    let mut screen = ratatui::init();
    let done = watch(&session, args, first, |seen, sort| {
        screen.draw(|frame| draw(frame, seen, sort)).map(drop)
    });
    ratatui::restore();
    done
}

/// What there is at one time.
struct Seen {
    head: String,
    queues: Vec<Value>,
}

fn look(session: &Session, sort: Sort) -> Done<Seen> {
    let overview = session.client.get(&path(&["overview"]))?;
    let reverse = if sort == Sort::Name { "false" } else { "true" };
    let columns = wanted(COLUMNS);
    let query = [
        ("page", "1"),
        ("page_size", QUEUES),
        ("sort", sort.field()),
        ("sort_reverse", reverse),
        ("columns", &columns),
    ];
    let queues = with_query(&session.all_of("queues"), &query);
    let queues = rows(&session.client.get(&queues)?);
    let alarm = health::ask(&session.client, &["alarms"])?;
    let alarm = alarm.map(|why| format!("   {why}")).unwrap_or_default();
    let total = |at: &str| text(find(&overview, at));
    let rate = |at: &'static str| Column::rate("", at).cell(&overview);
    let head = format!(
        "{} {}   {} connections   {} queues   {} ready   {} unacked   in {}/s   out {}/s   acks {}/s{alarm}",
        total("product_name"),
        total("product_version"),
        total("object_totals.connections"),
        total("object_totals.queues"),
        total("queue_totals.messages_ready"),
        total("queue_totals.messages_unacknowledged"),
        rate("message_stats.publish_details.rate"),
        rate("message_stats.deliver_get_details.rate"),
        rate("message_stats.ack_details.rate"),
    );
    Ok(Seen { head, queues })
}

fn watch(
    session: &Session,
    args: &TopArgs,
    mut seen: Seen,
    mut draw: impl FnMut(&Seen, Sort) -> std::io::Result<()>,
) -> Done {
    let (mut sort, interval) = (args.sort, Duration::from_secs(args.interval.max(1)));
    loop {
        draw(&seen, sort)?;
        let until = Instant::now() + interval;
        while poll(until.saturating_duration_since(Instant::now()))? {
            match read()? {
                Event::Key(key) if ends(key) => return Ok(()),
                Event::Key(KeyEvent { code: KeyCode::Char(key), .. }) => {
                    if let Some(other) = Sort::of_key(key) {
                        sort = other;
                        break;
                    }
                }
                Event::Resize(..) => draw(&seen, sort)?,
                _ => {}
            }
        }
        match look(session, sort) {
            Ok(now) => seen = now,
            // It may come back: what was seen last stays.
            Err(failure) => seen.head = failure.text,
        }
    }
}

fn ends(key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
        || (control && key.code == KeyCode::Char('c'))
}

fn draw(frame: &mut Frame<'_>, seen: &Seen, sort: Sort) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(seen.head.as_str()).wrap(Wrap { trim: true }), head);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let title = |column: &Column| {
        let style =
            if column.at == sort.field() { bold.add_modifier(Modifier::REVERSED) } else { bold };
        Cell::new(column.title).style(style)
    };
    let rows = seen.queues.iter().map(|queue| {
        Row::new(COLUMNS.iter().enumerate().map(|(at, column)| {
            let side = if at < TEXTS { Alignment::Left } else { Alignment::Right };
            Cell::new(Text::from(column.cell(queue)).alignment(side))
        }))
    });
    let widths = (0..COLUMNS.len()).map(|at| match at {
        0 => Constraint::Fill(1),
        _ => Constraint::Length(10),
    });
    let table = Table::new(rows, widths).header(Row::new(COLUMNS.iter().map(title)));
    frame.render_widget(table, body);
    frame.render_widget(Paragraph::new(KEYS), foot);
}
