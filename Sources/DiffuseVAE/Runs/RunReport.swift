import Formats
import Foundation

/// A run as one page that needs nothing but itself.
extension Run {
  func report(_ entries: [Metrics.Entry]) throws -> String {
    let configuration = try configuration()
    let finished = configuration.stages.map {
      "<tr><td>\(configuration.title(of: $0))</td><td>\(isFinished($0) ? "finished" : "unfinished")</td>"
        + row(Metrics.outcome(entries, of: $0))
    }
    let scores = try distances().map {
      "<tr><td>\(Self.escaped($0.title))</td><td>\($0.distance.digits(3))</td></tr>"
    }
    var sections = [
      """
      <h2>Stages</h2>
      <table><tr><th>stage</th><th></th><th>step</th><th>loss</th><th>of validation images</th>\
      <th>of test images</th></tr>
      \(finished.joined(separator: "\n"))
      </table>
      """
    ]
    if !entries.isEmpty { sections.append("<h2>Losses</h2>\n\(LossCurves(entries).svg)") }
    if !scores.isEmpty {
      sections.append(
        "<h2>Evaluation</h2>\n<table><tr><th>images</th><th>Fréchet distance</th></tr>\n"
          + scores.joined(separator: "\n") + "\n</table>")
    }
    let pictures = try pictures()
    if !pictures.isEmpty {
      sections.append(
        "<h2>Samples</h2>\n<p>The same 64 latents and noises, in the order of training.</p>\n"
          + "<div class=\"samples\">\n\(pictures.joined(separator: "\n"))\n</div>")
    }
    for (title, file) in [
      ("Settings", configurationFile), ("Commands", folder + "/command.txt"),
      ("Environment", folder + "/environment.json"),
    ] where has(file) {
      let text = String(decoding: try File.read(file), as: UTF8.self)
      sections.append(
        "<details><summary>\(title)</summary><pre>\(Self.escaped(text))</pre></details>")
    }
    return """
      <!doctype html>
      <html lang="en">
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width">
      <title>\(Self.escaped(name))</title>
      <style>
      body { font: 15px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
      table { border-collapse: collapse; } td, th { padding: .2rem .8rem; border-bottom: 1px solid #ddd; }
      td:not(:first-child) { text-align: right; } th { text-align: left; }
      .samples { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; }
      .samples img { width: 14rem; image-rendering: pixelated; } svg { max-width: 100%; }
      pre { overflow-x: auto; background: #f6f6f6; padding: 1rem; } summary { cursor: pointer; }
      </style>
      <h1>\(Self.escaped(name))</h1>
      \(sections.joined(separator: "\n"))
      </html>

      """
  }

  /// The rest of a stage's row.
  private func row(_ outcome: [String: Double]) -> String {
    let cells =
      [outcome["step"]?.digits(0)] + Metrics.losses.map { outcome[$0]?.digits(4) }
    return cells.map { "<td>\($0 ?? "")</td>" }.joined() + "</tr>"
  }

  /// The grids that were drawn on the way, in the page itself.
  private func pictures() throws -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder + "/samples")) ?? []
    // Stages in the order of training; within one, numbers have leading zeros.
    return try Stage.allCases.flatMap { stage in
      let own = names.filter { $0.hasPrefix(stage.rawValue + "-") && $0.hasSuffix(".png") }.sorted()
      // The last one, and so many before it that the page stays one that can be mailed.
      let stride = (own.count + 11) / 12
      return try own.indices.filter { (own.count - 1 - $0) % max(1, stride) == 0 }.map {
        let name = own[$0]
        let data = Data(try File.read("\(folder)/samples/\(name)")).base64EncodedString()
        let title = Self.escaped(String(name.dropLast(4)))
        return "<figure><img alt=\"\(title)\" src=\"data:image/png;base64,\(data)\">"
          + "<figcaption>\(title)</figcaption></figure>"
      }
    }
  }

  static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }
}
