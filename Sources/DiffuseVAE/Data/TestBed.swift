import Diffusion
import Formats
import Neural
import RealModule

/// Built-in sets of known density, by their names in `data.set`: images of 4 by 4 pixels.
///
/// What they have is drawn in [-1, 1] and rounded to bytes. Ends are five deviations away, so that
/// less than one pixel in a million is cut off; the step of 1/127.5 is a sixth of the least deviation
/// or less, so that the entropy of bytes is that of what is drawn, less the logarithm of the step.
enum TestBed: String, CaseIterable {
  /// N(0, 0.2² I)
  case gaussian

  /// N(0, C) with C's deviations from 0.2 down to 0.05 along the cosines of both directions, the
  /// smoother the larger: neighbouring pixels are alike.
  case rotated = "gaussian-rotated"

  /// 0.3 N(m, 0.1² I) + 0.7 N(-m, 0.1² I), m being 0.5 in the upper half and -0.5 in the lower one.
  case mixture = "gaussian-mixture"

  static let shape = ImageShape(height: 4, width: 4, channels: 1)

  /// Along ``axes``.
  var data: KnownData {
    let size = Self.shape.height
    let pixels = 0..<size * size
    func constant(_ value: Double) -> [Double] { pixels.map { _ in value } }
    switch self {
    case .gaussian:
      return KnownData([.init(weight: 1, means: constant(0), variances: constant(0.04))])
    case .rotated:
      let variances = pixels.map { i in
        0.04 * Double.pow(2, -4 * Double(i / size + i % size) / Double(2 * (size - 1)))
      }
      return KnownData([.init(weight: 1, means: constant(0), variances: variances)])
    case .mixture:
      let mean = pixels.map { $0 < pixels.count / 2 ? 0.5 : -0.5 }
      return KnownData([
        .init(weight: 0.3, means: mean, variances: constant(0.01)),
        .init(weight: 0.7, means: mean.map { -$0 }, variances: constant(0.01)),
      ])
    }
  }

  /// Orthonormal rows, `[pixels, pixels]`; nil for those of the pixels. Of the rotated set they are
  /// products of the cosine transforms (DCT-II) of both directions.
  var axes: Matrix? {
    guard self == .rotated else { return nil }
    let (size, count) = (Self.shape.height, Self.shape.count)
    let waves = (0..<size).map { k in
      (0..<size).map { i in
        let angle = Double.pi * (Double(i) + 0.5) * Double(k) / Double(size)
        return Double.cos(angle) * (Double(k == 0 ? 1 : 2) / Double(size)).squareRoot()
      }
    }
    let products = (0..<count * count).map { place in
      let (axis, pixel) = place.quotientAndRemainder(dividingBy: count)
      return Float(waves[axis / size][pixel / size] * waves[axis % size][pixel % size])
    }
    return Matrix(count, count, products)
  }

  /// In nats an image, of bytes.
  var entropy: Double {
    data.separatedEntropy + Double(Self.shape.count) * .log(255.0 / 2)
  }

  /// Images by their numbers.
  func images(_ range: Range<Int>) -> ByteImages {
    let (data, size) = (data, Self.shape.count)
    let choices = RandomStream(seed: 0, purpose: .testBed).uniform(rows: range, columns: 1)
    let noise = RandomStream(seed: 0, purpose: .testBed, step: 1)
      .normal(rows: range, columns: size)
    let drawn = (0..<range.count).flatMap { row in
      data.sample(choice: Double(choices[row, 0]), noise: noise.numbers(row)).map { Float($0) }
    }
    let x = Matrix(range.count, size, drawn)
    let pixels = axes.map { x * $0 } ?? x
    return ByteImages(
      count: range.count, height: Self.shape.height, width: Self.shape.width,
      channels: Self.shape.channels, bytes: pixels.affine(0.5, 0.5).bytes)
  }
}

extension Matrix {
  /// A row in double precision.
  func numbers(_ row: Int) -> [Double] {
    elements[row * columns..<(row + 1) * columns].map { Double($0) }
  }
}
