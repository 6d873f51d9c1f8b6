/// Memory a codec works in, taken once and kept: models being worked on, stamps, numbers, coded bytes.
final class CodecMemory {
  let valueModel = UnsafeMutablePointer<UInt32>.allocate(capacity: ValueModel.wordCount)
  let stampModel = UnsafeMutablePointer<UInt32>.allocate(capacity: StampModel.wordCount)
  /// One byte, for readers of nothing.
  let nothing = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
  private(set) var stamps = Room<Int64>()
  /// Numbers of one column after the other.
  private(set) var values = Room<Int64>()
  /// For each row and column that has gaps, whether there is a cell.
  private(set) var presence = Room<UInt8>()
  private(set) var coded = Room<UInt8>()

  init() { nothing.initialize(to: 0) }

  deinit {
    valueModel.deallocate()
    stampModel.deallocate()
    nothing.deallocate()
    for free in [stamps.free, values.free, presence.free, coded.free] { free() }
  }

  /// Makes room; what was there is lost.
  func reserve(rows: Int, cells: Int, presence count: Int, codedBytes: Int) {
    stamps.reserve(rows)
    values.reserve(cells)
    presence.reserve(count)
    coded.reserve(codedBytes)
  }

  /// Uninitialised memory of a trivial type.
  struct Room<Element: BitwiseCopyable> {
    private(set) var memory = UnsafeMutableBufferPointer<Element>(start: nil, count: 0)

    /// - Precondition: room was made.
    @inline(__always)
    var start: UnsafeMutablePointer<Element> {
      guard let start = memory.baseAddress else { preconditionFailure("codec memory used before room was made") }
      return start
    }

    mutating func reserve(_ count: Int) {
      guard memory.count < max(1, count) else { return }
      memory.deallocate()
      // A quarter more, so that slowly growing chunks do not take new memory each time.
      memory = .allocate(capacity: max(64, count + count / 4))
    }

    func free() { memory.deallocate() }
  }
}
