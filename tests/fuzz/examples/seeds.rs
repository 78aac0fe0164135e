//! Writes the seeds of each target into a folder of its name: `cargo run --package lepus-fuzz --example seeds -- DIR`.

use std::path::Path;

use lepus_fuzz::TARGETS;

fn main() -> std::io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    for target in TARGETS {
        let folder = Path::new(&directory).join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
