/// Loops over one map of a batch with a coefficient for every channel.
///
/// They run over whole lines of the map, against coefficients that are repeated to be as long as
/// one: a loop over few channels would spend its time on beginning and ending.
struct MapLoops {
  let map: MapShape
  let channels: Int

  private var width: Int { map.width * channels }

  /// Where the lines of a map begin in the batch.
  private func lines(_ image: Int) -> StrideTo<Int> {
    let size = map.pixels * channels
    return stride(from: image * size, to: (image + 1) * size, by: width)
  }

  /// Σ x of every channel.
  func sums(_ x: [Float], _ image: Int) -> [Float] {
    let (lines, width) = (lines(image), width)
    var line = zeros
    var sums = line.mutableSpan
    let x = x.span
    for start in lines {
      for i in 0..<width { sums[i] += x[start + i] }
    }
    return folded(line)
  }

  /// Σ (x - mean)² of every channel.
  func squares(_ x: [Float], _ image: Int, minus mean: [Float]) -> [Float] {
    let (lines, width) = (lines(image), width)
    let means = repeated(mean)
    var line = zeros
    var sums = line.mutableSpan
    let (x, mean) = (x.span, means.span)
    for start in lines {
      for i in 0..<width {
        let d = x[start + i] - mean[i]
        sums[i] += d * d
      }
    }
    return folded(line)
  }

  /// `y = SiLU(factor · x + offset)`
  func activate(
    _ x: [Float], _ image: Int, _ factors: [Float], _ offsets: [Float], into y: inout [Float]
  ) {
    let (lines, width) = (lines(image), width)
    let (factorLine, offsetLine) = (repeated(factors), repeated(offsets))
    let (a, b, x) = (factorLine.span, offsetLine.span, x.span)
    var y = y.mutableSpan
    for start in lines {
      for i in 0..<width {
        let s = a[i] * x[start + i] + b[i]
        y[start + i] = s * Elementary.sigmoid(s)
      }
    }
  }

  /// From `dy`, a derivative by the output of ``activate(_:_:_:_:into:)``, that by the sum inside of
  /// the SiLU, d.
  ///
  /// - Returns: Σ d and Σ d (x - mean) of every channel.
  func deactivate(
    _ x: [Float], _ dy: [Float], _ image: Int, _ factors: [Float], _ offsets: [Float],
    minus mean: [Float], into d: inout [Float]
  ) -> (sums: [Float], products: [Float]) {
    let (lines, width) = (lines(image), width)
    let (factorLine, offsetLine) = (repeated(factors), repeated(offsets))
    let meanLine = repeated(mean)
    var (sumLine, productLine) = (zeros, zeros)
    let (a, b, mean, x, dy) = (factorLine.span, offsetLine.span, meanLine.span, x.span, dy.span)
    var sums = sumLine.mutableSpan
    var products = productLine.mutableSpan
    var d = d.mutableSpan
    for start in lines {
      for i in 0..<width {
        let x = x[start + i]
        let derivative = dy[start + i] * SiLU.derivative(a[i] * x + b[i])
        d[start + i] = derivative
        sums[i] += derivative
        products[i] += derivative * (x - mean[i])
      }
    }
    return (folded(sumLine), folded(productLine))
  }

  /// `d = factor · d + slope · x + shift`
  func combine(
    _ d: inout [Float], by factors: [Float], _ x: [Float], by slopes: [Float], plus shifts: [Float],
    _ image: Int
  ) {
    let (lines, width) = (lines(image), width)
    let (factorLine, slopeLine) = (repeated(factors), repeated(slopes))
    let shiftLine = repeated(shifts)
    let (a, b, c, x) = (factorLine.span, slopeLine.span, shiftLine.span, x.span)
    var d = d.mutableSpan
    for start in lines {
      for i in 0..<width { d[start + i] = a[i] * d[start + i] + b[i] * x[start + i] + c[i] }
    }
  }

  /// `d += other`
  func add(_ other: [Float], _ image: Int, to d: inout [Float]) {
    let (lines, width) = (lines(image), width)
    let other = other.span
    var d = d.mutableSpan
    for start in lines {
      for i in start..<start + width { d[i] += other[i] }
    }
  }

  private var zeros: [Float] { [Float](repeating: 0, count: width) }

  /// One number a channel, repeated for every pixel of a line.
  private func repeated(_ values: [Float]) -> [Float] {
    precondition(values.count == channels, "\(values.count) numbers for \(channels) channels")
    var line: [Float] = []
    line.reserveCapacity(width)
    for _ in 0..<map.width { line += values }
    return line
  }

  /// The sums over the pixels of a line.
  private func folded(_ line: [Float]) -> [Float] {
    let channels = channels
    var result = [Float](repeating: 0, count: channels)
    var sums = result.mutableSpan
    let line = line.span
    for start in stride(from: 0, to: line.count, by: channels) {
      for i in 0..<channels { sums[i] += line[start + i] }
    }
    return result
  }
}
