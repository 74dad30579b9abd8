import ArgumentParser
import DiffuseVAE

/// `diffusevae-train list`
struct List: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Prints all runs of --runs as a table.")

  @ParentCommand var train: Train

  func run() throws { try Session.show(Run.table(of: train.runs)) }
}

/// `diffusevae-train compare A B`
struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prints how two runs differ: in settings, losses and distances.")

  @Argument(help: "A run, by name or folder.")
  var first: String

  @Argument(help: "Another one.")
  var second: String

  @ParentCommand var train: Train

  func run() throws {
    let other = try Run.open(second, in: train.runs)
    try Session.show(Run.open(first, in: train.runs).comparison(with: other))
  }
}

/// `diffusevae-train report RUN`
struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes a run's report.html, and what it is of, anew: after an evaluation, say.")

  @Argument(help: "A run, by name or folder; the newest complete one if not given.")
  var name: String?

  @ParentCommand var train: Train

  func run() throws {
    let run = try Run.toSample(name, in: train.runs)
    try run.summarise()
    try Session.show(run.reportFile)
  }
}

/// `diffusevae-train doctor`
struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prints what a report of a mistake needs to say of this machine.")

  @ParentCommand var train: Train

  func run() throws { try Session.show("\(Diagnosis(folder: train.runs))") }
}
