/// All random numbers of one purpose at one step of a run, addressed by row and place.
///
/// The address of a word is (seed; place in the row, row, step, purpose): the noise of example 7
/// at step 300 does not depend on the size of the batch, on threads, or on what was drawn before.
public struct RandomStream: Sendable {
  /// What the numbers are for. Streams of different purposes never overlap.
  public enum Purpose: UInt32, Sendable {
    case weights = 1
    case shuffle = 2
    /// z = μ + σ ε in training.
    case latentNoise = 3
    case timestep = 4
    /// ε of the forward process in training.
    case diffusionNoise = 5
    /// z, y_T and the noise of the reverse steps in sampling.
    case latent = 6
    case start = 7
    case reverseNoise = 8
    /// Which component of a mixture a z is drawn from.
    case component = 9
    /// The points that a mixture is fitted from.
    case mixtureStart = 10
    /// z = μ + σ ε for the latents that a prior is fitted to.
    case priorNoise = 11
    /// How images are moved to train a classifier.
    case translation = 12
    /// What dropout drops.
    case dropout = 13
    /// Noise on x̂0 in training, and how much of it.
    case conditionNoise = 14
    case conditionLevel = 15
    /// Which pixels of a grey image are white.
    case binarisation = 16
    /// z = μ + σ ε of the samples by which a likelihood is estimated.
    case importance = 17
    /// For likelihoods: which steps of the chain are looked at, noise at them, where in a byte's bin
    /// a pixel lies, and what stands for the trace.
    case chainStep = 20
    case chainNoise = 21
    case dequantisation = 22
    case traceProbe = 23
    /// Data of known density.
    case testBed = 24
    /// What is withheld of the condition in training.
    case withholding = 25
    /// Damage done to x̂0 on purpose.
    case corruption = 26
  }

  private let key: (UInt32, UInt32)
  private let step: UInt32
  private let purpose: UInt32

  /// - Parameter step: taken modulo 2³².
  public init(seed: UInt64, purpose: Purpose, step: Int = 0) {
    key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    self.step = UInt32(truncatingIfNeeded: step)
    self.purpose = purpose.rawValue
  }

  @inline(__always) func words(_ block: Int, row: Int) -> Philox.Words {
    Philox.words(
      counter: (
        UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: row), step, purpose
      ), key: key)
  }

  /// Independent draws of N(0, 1), one row for each of the row addresses `rows`.
  ///
  /// A row depends on its address and on the number of columns. Box–Muller on pairs of 32-bit
  /// words, so |x| < 6.67.
  public func normal(rows: some Collection<Int>, columns: Int) -> Matrix {
    draw(rows: rows, columns: columns) { a, b in
      let u = Float(Int32(bitPattern: a &>> 1)) * 0x1p-31 + 0x1p-32
      let radius = max(0, -2 * Elementary.log(u)).squareRoot()
      let (cosine, sine) = Elementary.cosineSine(turn: b)
      return (radius * cosine, radius * sine)
    }
  }

  /// Independent draws, uniform in [0, 1), multiples of 2⁻²⁴, one row for each address.
  public func uniform(rows: some Collection<Int>, columns: Int) -> Matrix {
    draw(rows: rows, columns: columns) { a, b in
      (Float(Int32(bitPattern: a &>> 8)) * 0x1p-24, Float(Int32(bitPattern: b &>> 8)) * 0x1p-24)
    }
  }

  /// Row by row, the four numbers of a block go to four quarters of the row, so that each quarter
  /// is written in order by a vector loop.
  @inline(__always) private func draw(
    rows: some Collection<Int>, columns: Int, _ pair: (UInt32, UInt32) -> (Float, Float)
  ) -> Matrix {
    let began = WorkClock.start()
    defer { WorkClock.stop(.random, since: began) }
    var matrix = Matrix(rows.count, columns)
    let quarter = (columns + 3) / 4
    var a = [Float](repeating: 0, count: quarter)
    var (b, c, d) = (a, a, a)
    for (row, address) in rows.enumerated() {
      fill(&a, &b, &c, &d, row: address, pair)
      for (i, part) in [a, b, c, d].enumerated() {
        let start = row * columns + min(i * quarter, columns)
        let count = min(quarter, columns - min(i * quarter, columns))
        matrix.elements.replaceSubrange(start..<start + count, with: part[0..<count])
      }
    }
    return matrix
  }

  /// A draw from `0 ..< bound` for every row address. The bias is below bound/2³².
  public func integers(rows: some Collection<Int>, below bound: Int) -> [Int] {
    rows.map { Int((UInt64(words(0, row: $0).0) * UInt64(UInt32(clamping: bound))) >> 32) }
  }

  @inline(__always) private func fill(
    _ a: inout [Float], _ b: inout [Float], _ c: inout [Float], _ d: inout [Float], row: Int,
    _ pair: (UInt32, UInt32) -> (Float, Float)
  ) {
    var a = a.mutableSpan
    var b = b.mutableSpan
    var c = c.mutableSpan
    var d = d.mutableSpan
    for block in a.indices {
      let word = words(block, row: row)
      (a[block], b[block]) = pair(word.0, word.1)
      (c[block], d[block]) = pair(word.2, word.3)
    }
  }
}

/// The words of a stream one after the other, for the standard library's own algorithms, such as
/// `shuffled(using:)`.
public struct SequentialRandom: RandomNumberGenerator {
  private let stream: RandomStream
  private var block = 0
  private var spare: UInt64?

  public init(_ stream: RandomStream) { self.stream = stream }

  public mutating func next() -> UInt64 {
    if let spare {
      self.spare = nil
      return spare
    }
    // A row holds 2³² blocks; the next row follows it.
    let word = stream.words(block, row: block >> 32)
    block += 1
    spare = UInt64(word.2) | UInt64(word.3) << 32
    return UInt64(word.0) | UInt64(word.1) << 32
  }
}
