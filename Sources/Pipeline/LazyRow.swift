/// A row of equal small states most patients never need: memory is taken when the first of them is written, and given back
/// when all are blank again.
///
/// Owned by one patient's state, freed with it by ``free()``.
struct LazyRow<Element: BitwiseCopyable>: BitwiseCopyable {
  private var memory: UnsafeMutablePointer<Element>?
  let count: Int32

  init(count: Int) { self.count = Int32(count) }

  func free() { memory?.deallocate() }

  var isBlank: Bool { memory == nil }
  var bytes: Int { memory == nil ? 0 : Int(count) * MemoryLayout<Element>.stride }

  /// An element to read; nil: it is blank.
  @inline(__always)
  func peek(_ index: Int) -> UnsafeMutablePointer<Element>? { memory.map { $0 + index } }

  /// An element to write.
  ///
  /// - Parameter blank: what the others are, should memory be needed now.
  @inline(__always)
  mutating func pointer(_ index: Int, blank: @autoclosure () -> Element) -> UnsafeMutablePointer<Element> {
    if let memory { return memory + index }
    let taken = UnsafeMutablePointer<Element>.allocate(capacity: Int(count))
    taken.initialize(repeating: blank(), count: Int(count))
    memory = taken
    return taken + index
  }

  /// Gives the memory back.
  mutating func clear() {
    memory?.deallocate()
    memory = nil
  }
}
