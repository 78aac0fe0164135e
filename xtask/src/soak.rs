//! `cargo xtask soak`: whatever can go on for hours. Real clients while things go wrong, crashes of a
//! simulated disk and of real processes, octets that nobody would send.

mod clients;
mod figures;
mod simulation;

use anyhow::Result;

use self::figures::{Figures, Row};
use crate::bench::today;
use crate::{crash, fuzz};

/// Options of `cargo xtask soak`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SoakArgs {
    /// Minutes of each part; what has begun is finished
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Only this part (may be repeated)
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Write the figures of each part into docs/reliability.md, once it has passed
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    clients: clients::ClientsArgs,
    /// Crash points of the simulated disk at most
    #[arg(long, default_value_t = 1_000_000)]
    points: u64,
    /// Rounds of `cargo xtask crash` at a time
    #[arg(long, default_value_t = 70)]
    rounds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Real clients, and faults
    Clients,
    /// The store and the whole broker on a simulated disk
    Simulation,
    /// Real processes that are killed
    Crash,
    /// What reads octets from outside
    Fuzz,
}

const PARTS: [Part; 4] = [Part::Clients, Part::Simulation, Part::Crash, Part::Fuzz];

/// Runs the chosen parts, one after another, and says what they came to.
pub(crate) fn run(args: &SoakArgs) -> Result<()> {
    let (by, mut all) = (command(), String::new());
    let chosen = |part: &&Part| args.only.is_empty() || args.only.contains(part);
    for part in PARTS.iter().filter(chosen) {
        println!("==> {}", part.name());
        let rows = part.run(args)?;
        let rows = figures::table(&rows, &by);
        if args.write {
            figures::write(part.name(), &rows, &PARTS.map(Part::name))?;
        }
        all.push_str(&rows);
    }
    println!("\n{}{all}", figures::HEADER);
    Ok(())
}

/// What was typed, and when.
fn command() -> String {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--write").collect();
    format!("`cargo xtask {}`, {}", words.join(" "), today())
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Simulation => "simulation",
            Self::Crash => "crash",
            Self::Fuzz => "fuzz",
        }
    }

    fn run(self, args: &SoakArgs) -> Result<Vec<Row>> {
        let (name, figures) = (self.name(), Figures::new()?);
        match self {
            Self::Clients => {
                clients::run(args.minutes, &args.clients, figures.path())?;
                let lines = figures.lines()?;
                Ok(lines.iter().map(|(what, value)| Row::new(name, what, value)).collect())
            }
            Self::Simulation => {
                let points = simulation::run(args.minutes, args.points, figures.path())?;
                let hours = figures.sum("simulated ms")? as f64 / 3_600_000.0;
                Ok(vec![
                    Row::new(name, "crash points of the store", format!("at least {points}")),
                    Row::new(name, "crash points of the whole broker", figures.sum("crashes")?),
                    Row::new(name, "lives of the whole broker", figures.sum("lives")?),
                    Row::new(name, "simulated time", format!("{hours:.1} h")),
                    Row::new(name, "lost", 0),
                ])
            }
            Self::Crash => {
                crash::run_for(args.minutes, args.rounds, figures.path())?;
                Ok(vec![
                    Row::new(name, "processes ended and started again", figures.sum("rounds")?),
                    Row::new(name, "messages confirmed", figures.sum("confirmed")?),
                    Row::new(name, "messages delivered", figures.sum("delivered")?),
                    Row::new(name, "transactions committed", figures.sum("transactions")?),
                    Row::new(name, "lost, back after an ack, or out of order", 0),
                ])
            }
            Self::Fuzz => {
                let done = fuzz::run_for(args.minutes * 60, figures.path())?;
                Ok(vec![
                    Row::new(name, "executions", figures.sum("fuzz executions")?),
                    Row::new(name, "runs of all targets", done.runs),
                    Row::new(name, "executions guided by coverage", done.guided),
                    Row::new(name, "found", 0),
                ])
            }
        }
    }
}
