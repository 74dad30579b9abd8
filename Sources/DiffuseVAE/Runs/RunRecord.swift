import Formats
import Foundation

/// What a run keeps of how it was made, and what it came to, for people and for other programs.
extension Run {
  public var reportFile: String { folder + "/report.html" }

  /// Adds a line to `command.txt`, and writes `environment.json`, what the machine is like.
  ///
  /// - Parameter command: the words that were typed.
  public func record(command: [String], threads: Int) throws {
    let path = folder + "/command.txt"
    let before = has(path) ? try File.read(path) : []
    let date = Date.now.formatted(.iso8601)
    let line = "\(date)  \(command.map(Self.quoted).joined(separator: " "))\n"
    try File.writeAtomically(before + Array(line.utf8), to: path)

    let diagnosis = Diagnosis(folder: folder)
    let environment = Environment(
      date: date, threads: threads, facts: Dictionary(diagnosis.facts.map { ($0, $1) }) { $1 },
      warnings: diagnosis.warnings)
    try write(environment, to: folder + "/environment.json")
  }

  private struct Environment: Encodable {
    let date: String
    let threads: Int
    let facts: [String: String]
    let warnings: [String]
  }

  private struct Summary: Encodable {
    struct Part: Encodable {
      let finished: Bool
      /// See ``Metrics/outcome(_:of:)``.
      let last: [String: Double]
    }

    struct Row: Encodable {
      let images: String
      let frechet: Double
    }

    let stages: [String: Part]
    let evaluation: [Row]
  }

  /// Writes anew what follows from the rest of the run: `metrics.csv`, `summary.json`, `losses.svg` and
  /// `report.html`.
  public func summarise() throws {
    let entries = try Metrics.entries(of: self)
    try File.writeAtomically(Array(Self.csv(entries).utf8), to: folder + "/metrics.csv")
    try File.writeAtomically(Array(LossCurves(entries).svg.utf8), to: folder + "/losses.svg")
    let stages = Stage.allCases.compactMap { stage -> (String, Summary.Part)? in
      let last = Metrics.outcome(entries, of: stage)
      guard !last.isEmpty || isFinished(stage) else { return nil }
      return (stage.rawValue, Summary.Part(finished: isFinished(stage), last: last))
    }
    let summary = Summary(
      stages: Dictionary(uniqueKeysWithValues: stages),
      evaluation: try distances().map { Summary.Row(images: $0.title, frechet: $0.distance) })
    try write(summary, to: folder + "/summary.json")
    try File.writeAtomically(Array(report(entries).utf8), to: reportFile)
  }

  private func write(_ value: some Encodable, to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try File.writeAtomically(Array(try encoder.encode(value)) + [UInt8(ascii: "\n")], to: path)
  }

  /// A column for every number; what a line does not have is empty.
  static func csv(_ entries: [Metrics.Entry]) -> String {
    let names = Set(entries.flatMap(\.numbers.keys)).subtracting(["step"]).sorted()
    let lines = entries.map { entry in
      ([entry.stage.rawValue, "\(entry.step)"]
        + names.map { entry.numbers[$0].map { "\($0)" } ?? "" })
        .joined(separator: ",")
    }
    return ([(["stage", "step"] + names).joined(separator: ",")] + lines).map { $0 + "\n" }.joined()
  }
}
