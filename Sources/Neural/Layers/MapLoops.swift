/// Loops over one map of a batch with a coefficient for every channel.
///
/// They run over a stretch of pixels at a time, against coefficients that are repeated to be as
/// long: a loop over few channels would spend its time on beginning and ending. And over spans of
/// just that length: a loop that an index out of bounds could end in its middle leaves its last
/// vector to scalar instructions. (A mutable span's `_mutatingExtracting` has no public name yet.)
struct MapLoops {
  let map: MapShape
  let channels: Int

  /// Numbers of a stretch, all of whole pixels.
  private var width: Int { channels * max(1, min(map.pixels, 192 / channels)) }

  /// The map's numbers in a batch of `count`.
  private func numbers(_ image: Int, of count: Int) -> Range<Int> {
    let size = map.pixels * channels
    precondition(image >= 0 && (image + 1) * size <= count, "map \(image) of \(count) numbers")
    return image * size..<(image + 1) * size
  }

  /// Calls `body` for every stretch, with where it begins and how many numbers it has.
  @inline(__always) private func forEachStretch(
    _ image: Int, of count: Int, _ body: (_ start: Int, _ count: Int) -> Void
  ) {
    let (numbers, width) = (numbers(image, of: count), width)
    for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: width) {
      body(start, min(width, numbers.upperBound - start))
    }
  }

  /// Σ x of every channel.
  func sums(_ x: [Float], _ image: Int) -> [Float] {
    sums(x, image, minus: zeros) { x, _ in x }
  }

  /// Σ (x - mean)² of every channel.
  func squares(_ x: [Float], _ image: Int, minus mean: [Float]) -> [Float] {
    sums(x, image, minus: repeated(mean)) { x, mean in (x - mean) * (x - mean) }
  }

  /// Σ f(x, mean) of every channel.
  @inline(__always) private func sums(
    _ x: [Float], _ image: Int, minus means: [Float], _ f: (Float, Float) -> Float
  ) -> [Float] {
    let (numbers, width) = (numbers(image, of: x.count), width)
    var line = zeros
    var sums = line.mutableSpan
    let (x, mean) = (x.span, means.span.extracting(0..<width))
    // Four stretches at a time, so that sums are fetched and put back a fourth as often.
    let whole = numbers.lowerBound + numbers.count / (4 * width) * (4 * width)
    for first in stride(from: numbers.lowerBound, to: whole, by: 4 * width) {
      let x0 = x.extracting(first..<first + width)
      let x1 = x.extracting(first + width..<first + 2 * width)
      let x2 = x.extracting(first + 2 * width..<first + 3 * width)
      let x3 = x.extracting(first + 3 * width..<first + 4 * width)
      var sums = sums._mutatingExtracting(0..<width)
      for i in 0..<width {
        sums[i] +=
          (f(x0[i], mean[i]) + f(x1[i], mean[i])) + (f(x2[i], mean[i]) + f(x3[i], mean[i]))
      }
    }
    for start in stride(from: whole, to: numbers.upperBound, by: width) {
      let count = min(width, numbers.upperBound - start)
      let (x, mean) = (x.extracting(start..<start + count), mean.extracting(0..<count))
      var sums = sums._mutatingExtracting(0..<count)
      for i in 0..<count { sums[i] += f(x[i], mean[i]) }
    }
    return folded(line)
  }

  /// `y = SiLU(factor · x + offset)`
  ///
  /// - Parameter place: which of the maps of `y` that is.
  func activate(
    _ x: [Float], _ image: Int, _ factors: [Float], _ offsets: [Float], into y: inout [Float],
    _ place: Int
  ) {
    let (factorLine, offsetLine) = (repeated(factors), repeated(offsets))
    let (a, b, x) = (factorLine.span, offsetLine.span, x.span)
    let distance = numbers(place, of: y.count).lowerBound - numbers(image, of: x.count).lowerBound
    var y = y.mutableSpan
    forEachStretch(image, of: x.count) { start, count in
      let (a, b) = (a.extracting(0..<count), b.extracting(0..<count))
      let x = x.extracting(start..<start + count)
      var y = y._mutatingExtracting(distance + start..<distance + start + count)
      for i in 0..<count {
        let s = a[i] * x[i] + b[i]
        y[i] = s * Elementary.sigmoid(s)
      }
    }
  }

  /// From `dy`, a derivative by the output of ``activate(_:_:_:_:into:_:)``, that by the sum inside of
  /// the SiLU, d.
  ///
  /// - Returns: Σ d and Σ d (x - mean) of every channel.
  func deactivate(
    _ x: [Float], _ dy: [Float], _ image: Int, _ factors: [Float], _ offsets: [Float],
    minus mean: [Float], into d: inout [Float]
  ) -> (sums: [Float], products: [Float]) {
    let (factorLine, offsetLine) = (repeated(factors), repeated(offsets))
    let meanLine = repeated(mean)
    var (sumLine, productLine) = (zeros, zeros)
    let (a, b, mean, x, dy) = (factorLine.span, offsetLine.span, meanLine.span, x.span, dy.span)
    var sums = sumLine.mutableSpan
    var products = productLine.mutableSpan
    var d = d.mutableSpan
    forEachStretch(image, of: min(x.count, dy.count, d.count)) { start, count in
      let (a, b, mean) = (
        a.extracting(0..<count), b.extracting(0..<count), mean.extracting(0..<count)
      )
      let x = x.extracting(start..<start + count)
      let dy = dy.extracting(start..<start + count)
      var d = d._mutatingExtracting(start..<start + count)
      var sums = sums._mutatingExtracting(0..<count)
      var products = products._mutatingExtracting(0..<count)
      for i in 0..<count {
        let derivative = dy[i] * SiLU.derivative(a[i] * x[i] + b[i])
        d[i] = derivative
        sums[i] += derivative
        products[i] += derivative * (x[i] - mean[i])
      }
    }
    return (folded(sumLine), folded(productLine))
  }

  /// `d = factor · d + slope · x + shift`
  func combine(
    _ d: inout [Float], by factors: [Float], _ x: [Float], by slopes: [Float], plus shifts: [Float],
    _ image: Int
  ) {
    let (factorLine, slopeLine) = (repeated(factors), repeated(slopes))
    let shiftLine = repeated(shifts)
    let (a, b, c, x) = (factorLine.span, slopeLine.span, shiftLine.span, x.span)
    var d = d.mutableSpan
    forEachStretch(image, of: min(x.count, d.count)) { start, count in
      let (a, b, c) = (a.extracting(0..<count), b.extracting(0..<count), c.extracting(0..<count))
      let x = x.extracting(start..<start + count)
      var d = d._mutatingExtracting(start..<start + count)
      for i in 0..<count { d[i] = a[i] * d[i] + b[i] * x[i] + c[i] }
    }
  }

  /// `d += other`
  func add(_ other: [Float], _ image: Int, to d: inout [Float]) {
    let numbers = numbers(image, of: min(other.count, d.count))
    let other = other.span.extracting(numbers)
    var whole = d.mutableSpan
    var d = whole._mutatingExtracting(numbers)
    for i in d.indices { d[i] += other[i] }
  }

  private var zeros: [Float] { [Float](repeating: 0, count: width) }

  /// One number a channel, repeated for every pixel of a stretch.
  private func repeated(_ values: [Float]) -> [Float] {
    precondition(values.count == channels, "\(values.count) numbers for \(channels) channels")
    var line: [Float] = []
    line.reserveCapacity(width)
    for _ in 0..<width / channels { line += values }
    return line
  }

  /// The sums over the pixels of a stretch.
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
