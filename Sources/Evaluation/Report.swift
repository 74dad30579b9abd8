import DiffuseVAE
import Formats
import Foundation
import Neural

/// Everything that an evaluation found, as files and as text.
public struct EvaluationReport: Codable, Equatable, Sendable {
  /// The run's name; nil for images that are of none.
  public let run: String?
  public let data: String
  /// What the features are.
  public let extractor: String
  /// The extractor's share of right answers; nil for random features.
  public let accuracy: Double?
  public let seed: UInt64
  /// Of the test images by the VAE; nil without either.
  public let elbo: EvidenceLowerBound?
  public private(set) var rows: [EvaluationRow] = []

  public init(
    run: String?, _ reference: Reference, data: Dataset, elbo: EvidenceLowerBound?
  ) {
    self.run = run
    self.data = "\(data.training.count) training images of \(data.name)"
    extractor = "\(reference.extractor)"
    accuracy = reference.extractor.accuracy
    seed = reference.seed
    self.elbo = elbo
  }

  /// Adds a row, and writes the report as it now is, with a sheet of the row's first images.
  ///
  /// - Parameter folder: is made if need be; nil to write nothing.
  public mutating func add(_ row: EvaluationRow, _ images: ByteImages, in folder: String?) throws {
    rows.append(row)
    guard let folder else { return }
    try makeFolder(folder)
    let shape = ImageShape(height: images.height, width: images.width, channels: images.channels)
    try ImageOutput.sheet("\(folder)/\(sheet(rows.count - 1))").write(
      images.pixels(0..<min(64, images.count)), shape: shape)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    try File.writeAtomically(Array(encoder.encode(self)), to: "\(folder)/evaluation.json")
    try File.writeAtomically(Array(markdown.utf8), to: "\(folder)/evaluation.md")
  }

  /// The report with its tables and pictures.
  var markdown: String {
    var text = """
      # \(run ?? "Images") against \(data)

      \(sentences)

      \(Self.heading)
      |\(String(repeating: "---|", count: Self.columns.count))

      """
    for row in rows { text += row.line + "\n" }
    for (index, row) in rows.enumerated() {
      text += "\n## \(row.title)\n\n![\(row.title)](\(sheet(index)))\n"
    }
    return text
  }

  /// The name of a row's sheet of images. Rows may have the same title, but not the same number.
  private func sheet(_ index: Int) -> String {
    let words = rows[index].title.lowercased().split {
      !$0.isASCII || !($0.isLetter || $0.isNumber)
    }
    return (["\(index + 1)"] + words).joined(separator: "-").prefix(100) + ".png"
  }

  /// What the numbers are.
  public var sentences: String {
    var text = "Features: \(extractor)."
    if accuracy == nil {
      text += " The set has no classifier, so nothing can be said of classes."
    }
    if let elbo {
      text += """
         ELBO of the test images \(elbo.total.digits(2)) nats: reconstruction \
        \(elbo.reconstruction.digits(2)), divergence \(elbo.divergence.digits(2)).
        """
    }
    return text
  }

  /// The columns of the table, with the widths that they have on a terminal.
  private static let columns = [
    ("images", 30), ("steps", 5), ("count", 6), ("Fréchet", 8), ("pixels", 7),
    ("kernel (95 %)", 25), ("precision", 9), ("recall", 6), ("classes", 7),
    ("inception", 9), ("s/image", 8),
  ]

  /// The first line of the table.
  public static var heading: String { line(columns.map(\.0)) }

  fileprivate static func line(_ cells: [String]) -> String {
    let padded = zip(cells, columns).enumerated().map { index, cell in
      let fill = String(repeating: " ", count: max(0, cell.1.1 - cell.0.count))
      return index == 0 ? cell.0 + fill : fill + cell.0
    }
    return "| " + padded.joined(separator: " | ") + " |"
  }
}

extension EvaluationRow {
  /// The row as a line of the table.
  public var line: String {
    let s = scores
    return EvaluationReport.line([
      images, steps.map { "\($0)" } ?? "", "\(count)", s.frechet.digits(3),
      s.pixelFrechet?.digits(3) ?? "–",
      "\(s.kernel.digits(3)) (\(s.kernelLow.digits(3))…\(s.kernelHigh.digits(3)))",
      s.precision.digits(3), s.recall.digits(3), s.classDistance?.digits(3) ?? "–",
      s.inceptionScore?.digits(2) ?? "–", secondsPerImage?.digits(5) ?? "",
    ])
  }

  fileprivate var title: String {
    images + (steps.map { ", \($0) step\($0 == 1 ? "" : "s")" } ?? "")
  }
}
