import Formats
import Foundation

extension Run {
  /// All runs of a folder, the one that was worked on last first: a table in Markdown.
  ///
  /// - Throws: ``UserError`` when there is none.
  public static func table(of runs: String) throws -> String {
    let found = all(in: runs).sorted { $0.lastChange > $1.lastChange }
    guard !found.isEmpty else { throw UserError("\(runs): no run here; \(hint([], in: runs))") }
    let style = Date.ISO8601FormatStyle(timeZone: .current).year().month().day()
      .dateTimeSeparator(.space).time(includingFractionalSeconds: false)
    let lines = found.map { run in
      let settings =
        (try? run.configuration()).map {
          [$0.data.set, "\($0.diffusion.formulation)", "\($0.denoiser.kind)"]
        } ?? ["config.yaml cannot be read", "", ""]
      return ([run.name] + settings + [run.progress, run.lastChange.formatted(style)])
        .joined(separator: " | ")
    }
    return """
      | run | data | formulation | network | trained | changed |
      |---|---|---|---|---|---|
      \(lines.map { "| \($0) |" }.joined(separator: "\n"))
      """
  }

  /// The stages that are finished, and how far the one after them is.
  private var progress: String {
    let stages = (try? configuration())?.stages ?? Stage.allCases
    let finished = stages.filter(isFinished).map(\.rawValue)
    let next = stages.first { !isFinished($0) }
    let entries = (try? Metrics.entries(of: self)) ?? []
    let step = next.flatMap { Metrics.outcome(entries, of: $0)["step"] }
    let begun = next.flatMap { next in
      step.map { "\(next.rawValue) to step \($0.digits(0))" }
    }
    return (finished + [begun].compactMap { $0 }).joined(separator: ", ")
  }

  /// How this run and another differ, as tables in Markdown: in their settings, in what their stages came
  /// to, and in the Fréchet distances of their last evaluations.
  ///
  /// - Throws: `ConfigurationError` or `FormatError` for a run that cannot be read.
  public func comparison(with other: Run) throws -> String {
    let settings = try configuration().differences(from: other.configuration()).map {
      ($0.setting, $0.own, $0.other)
    }
    let entries = (try Metrics.entries(of: self), try Metrics.entries(of: other))
    let losses = Stage.allCases.flatMap { stage in
      let outcomes = (
        Metrics.outcome(entries.0, of: stage), Metrics.outcome(entries.1, of: stage)
      )
      return Metrics.losses.map { name in
        (
          "\(stage.rawValue) \(name)", outcomes.0[name]?.digits(5) ?? "",
          outcomes.1[name]?.digits(5) ?? ""
        )
      }
    }.filter { !$0.1.isEmpty || !$0.2.isEmpty }
    let (own, theirs) = (try distances(), try other.distances())
    let titles =
      own.map(\.title)
      + theirs.map(\.title).filter { title in
        !own.contains { $0.title == title }
      }
    let scores = titles.map { title in
      func cell(_ rows: [(title: String, distance: Double)]) -> String {
        rows.first { $0.title == title }.map { $0.distance.digits(3) } ?? ""
      }
      return (title, cell(own), cell(theirs))
    }
    let tables = [("setting", settings), ("loss", losses), ("Fréchet distance", scores)]
    let texts = tables.filter { !$0.1.isEmpty }.map { heading, rows in
      "| \(heading) | \(name) | \(other.name) |\n|---|---|---|\n"
        + rows.map { "| \($0.0) | \($0.1) | \($0.2) |" }.joined(separator: "\n")
    }
    return texts.isEmpty ? "no difference" : texts.joined(separator: "\n\n")
  }

  /// The Fréchet distances of what was evaluated; none if nothing was.
  func distances() throws -> [(title: String, distance: Double)] {
    struct Report: Decodable {
      struct Row: Decodable {
        struct Scores: Decodable { let frechet: Double? }
        let images: String
        let steps: Int?
        let count: Int
        let scores: Scores?
      }
      let rows: [Row]
    }
    let path = "\(folder)/evaluation/evaluation.json"
    guard has(path) else { return [] }
    guard let report = try? JSONDecoder().decode(Report.self, from: Data(File.read(path))) else {
      throw FormatError(file: path, problem: "is no report of diffusevae-evaluate")
    }
    return report.rows.compactMap { row in
      let steps = row.steps.map { ", \($0) steps" } ?? ""
      return row.scores?.frechet.map { ("\(row.images)\(steps), \(row.count) images", $0) }
    }
  }
}
