/// A row of equal small states of which a patient needs few at a time: each takes memory when it is first written, and gives it
/// back when it is cleared. Its place in memory stays while it lives.
///
/// Owned by one patient's state, freed with it by ``free()``.
struct LazyRow<Element: BitwiseCopyable>: BitwiseCopyable {
  private var table: UnsafeMutablePointer<UnsafeMutablePointer<Element>?>?
  let count: Int32
  private var living: Int32 = 0

  init(count: Int) { self.count = Int32(count) }

  func free() {
    guard let table else { return }
    for index in 0..<Int(count) { table[index]?.deallocate() }
    table.deallocate()
  }

  var isBlank: Bool { table == nil }
  var bytes: Int {
    table == nil ? 0 : Int(count) * MemoryLayout<Int>.stride + Int(living) * MemoryLayout<Element>.stride
  }

  /// An element to read; nil: it is blank.
  @inline(__always)
  func peek(_ index: Int) -> UnsafeMutablePointer<Element>? {
    guard let table else { return nil }
    return table[index]
  }

  /// An element to write.
  ///
  /// - Parameter blank: what it is, should it be new.
  mutating func pointer(_ index: Int, blank: @autoclosure () -> Element) -> UnsafeMutablePointer<Element> {
    if let element = peek(index) { return element }
    if table == nil {
      table = .allocate(capacity: Int(count))
      table?.initialize(repeating: nil, count: Int(count))
    }
    let element = UnsafeMutablePointer<Element>.allocate(capacity: 1)
    element.initialize(to: blank())
    table?[index] = element
    living += 1
    return element
  }

  /// Gives one element's memory back, and the row's with the last one.
  mutating func clear(_ index: Int) {
    guard let table, let element = table[index] else { return }
    element.deallocate()
    table[index] = nil
    living -= 1
    guard living == 0 else { return }
    table.deallocate()
    self.table = nil
  }
}
