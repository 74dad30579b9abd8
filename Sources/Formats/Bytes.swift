// Files hold their floats little-endian. So do the machines that Swift runs on, which makes both
// directions a copy of memory. A machine that differs must not build this unnoticed.
#if !_endian(little)
  #error("Floats are copied between files and memory as they are: this needs a little-endian CPU")
#endif

/// The whole number that at most eight bytes spell, the most significant first.
func bigEndian(_ bytes: some Sequence<UInt8>) -> UInt64 {
  bytes.reduce(0) { $0 << 8 | UInt64($1) }
}

/// The whole number that at most eight bytes spell, the least significant first.
func littleEndian(_ bytes: some BidirectionalCollection<UInt8>) -> UInt64 {
  bigEndian(bytes.reversed())
}

/// The 32-bit floats that `bytes` hold, four each.
func floats(_ bytes: ArraySlice<UInt8>) -> [Float] { floats(bytes, of: Float.self) }

/// The 64-bit floats that `bytes` hold, eight each, rounded to 32 bits.
func floats(roundingDoubles bytes: ArraySlice<UInt8>) -> [Float] {
  floats(bytes, of: Double.self)
}

/// Private, since generic code is fast only in the file where it is used with a known type.
private func floats<T: BinaryFloatingPoint>(_ bytes: ArraySlice<UInt8>, of: T.Type) -> [Float] {
  bytes.withUnsafeBytes { source in
    let size = MemoryLayout<T>.size
    let count = source.count / size
    return [Float](unsafeUninitializedCapacity: count) { target, initialized in
      for i in 0..<count {
        let number = source.loadUnaligned(fromByteOffset: i * size, as: T.self)
        target.initializeElement(at: i, to: Float(number))
      }
      initialized = count
    }
  }
}

extension [UInt8] {
  /// Appends the tensor's elements, four bytes each.
  mutating func append(elementsOf tensor: Tensor) {
    precondition(tensor.elements.count == tensor.shape.checkedProduct, "elements fill their shape")
    tensor.elements.withUnsafeBytes { append(contentsOf: $0) }
  }
}

extension Tensor {
  /// The elements' bytes, least significant first.
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(elementsOf: self)
    return bytes
  }
}
