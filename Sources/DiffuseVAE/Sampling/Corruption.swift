import Foundation
import Neural

/// Damage that is done to x̂0 before it is refined, to see what the second stage makes of it: five
/// levels of each kind, as Hendrycks & Dietterich (2019, "Benchmarking Neural Network Robustness to
/// Common Corruptions") have; noise and salt and pepper in the strengths of their program.
public struct Corruption: Equatable, Sendable, CustomStringConvertible {
  public enum Kind: String, CaseIterable, Sendable {
    /// Gaussian, of deviation 0.08, 0.12, 0.18, 0.26 or 0.38.
    case noise
    /// By a Gaussian of deviation 0.5, 1, 1.5, 2 or 2.5 pixels.
    case blur
    /// Means of squares of 2, 3, 4, 5 or 6 pixels a side.
    case pixelate
    /// A black rectangle of the image's proportions over 0.1, 0.2, 0.3, 0.4 or 0.5 of it.
    case occlude
    /// Numbers that become 0 or 1: 0.03, 0.06, 0.09, 0.17 or 0.27 of them.
    case saltAndPepper = "salt-pepper"
  }

  public let kind: Kind
  /// 1…5, the stronger the greater.
  public let level: Int

  /// Reads ``description``, like `blur:3`; nil for anything else.
  public init?(_ description: String) {
    let parts = description.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let kind = Kind(rawValue: String(parts[0])), let level = Int(parts[1]),
      (1...5).contains(level)
    else { return nil }
    (self.kind, self.level) = (kind, level)
  }

  public var description: String { "\(kind.rawValue):\(level)" }

  /// The images, damaged.
  ///
  /// - Parameters:
  ///   - images: `[batch, pixels]` in [0, 1].
  ///   - numbers: addresses of what is random about each.
  func callAsFunction(
    _ images: Matrix, _ shape: ImageShape, numbers: [Int], seed: UInt64
  ) -> Matrix {
    let stream = RandomStream(seed: seed, purpose: .corruption, step: level)
    switch kind {
    case .noise:
      var noisy = images
      noisy.add(
        [0.08, 0.12, 0.18, 0.26, 0.38][level - 1],
        stream.normal(rows: numbers, columns: images.columns))
      return noisy.clamped(to: 0...1)
    case .saltAndPepper:
      let share: Float = [0.03, 0.06, 0.09, 0.17, 0.27][level - 1]
      let fates = stream.uniform(rows: numbers, columns: images.columns)
      let elements = zip(images.elements, fates.elements).map { number, fate in
        fate < share / 2 ? 0 : fate < share ? 1 : number
      }
      return Matrix(images.rows, images.columns, elements)
    case .blur: return Self.blurred(images, shape, deviation: 0.5 * Double(level))
    case .pixelate: return Self.pixelated(images, shape, side: level + 1)
    case .occlude:
      return Self.occluded(
        images, shape, share: 0.1 * Double(level),
        corners: stream.uniform(rows: numbers, columns: 2))
    }
  }

  /// Along either axis by the weights of a Gaussian as far as three deviations; beyond the edge an
  /// image goes on as its outermost pixels.
  private static func blurred(
    _ images: Matrix, _ shape: ImageShape, deviation: Double
  ) -> Matrix {
    let reach = Int((3 * deviation).rounded(.up))
    let weights = (-reach...reach).map { exp(-Double($0 * $0) / (2 * deviation * deviation)) }
    let sum = weights.reduce(0, +)
    func filtered(_ images: Matrix, length: Int, stride: Int) -> Matrix {
      var blurred = images
      for row in 0..<images.rows {
        for i in 0..<images.columns {
          let place = i / stride % length
          blurred[row, i] = zip(-reach...reach, weights).reduce(0) { total, tap in
            let other = min(max(place + tap.0, 0), length - 1)
            return total + Float(tap.1 / sum) * images[row, i + (other - place) * stride]
          }
        }
      }
      return blurred
    }
    let rows = filtered(images, length: shape.width, stride: shape.channels)
    return filtered(rows, length: shape.height, stride: shape.width * shape.channels)
  }

  /// Every pixel the mean of its square, which at the edge may be a part of one.
  static func pixelated(_ images: Matrix, _ shape: ImageShape, side: Int) -> Matrix {
    var coarse = images
    for top in stride(from: 0, to: shape.height, by: side) {
      for left in stride(from: 0, to: shape.width, by: side) {
        for channel in 0..<shape.channels {
          let square = (top..<min(top + side, shape.height)).flatMap { y in
            (left..<min(left + side, shape.width)).map { x in
              (y * shape.width + x) * shape.channels + channel
            }
          }
          for row in 0..<images.rows {
            let mean = square.reduce(0) { $0 + images[row, $1] } / Float(square.count)
            for i in square { coarse[row, i] = mean }
          }
        }
      }
    }
    return coarse
  }

  /// - Parameter corners: where each image's rectangle is, in shares of the room for it.
  private static func occluded(
    _ images: Matrix, _ shape: ImageShape, share: Double, corners: Matrix
  ) -> Matrix {
    let side = share.squareRoot()
    let height = Int((side * Double(shape.height)).rounded())
    let width = Int((side * Double(shape.width)).rounded())
    var occluded = images
    for row in 0..<images.rows {
      let top = Int(corners[row, 0] * Float(shape.height - height + 1))
      let left = Int(corners[row, 1] * Float(shape.width - width + 1))
      for y in top..<top + height {
        let start = (y * shape.width + left) * shape.channels
        for i in start..<start + width * shape.channels { occluded[row, i] = 0 }
      }
    }
    return occluded
  }
}
