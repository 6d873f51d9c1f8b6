import VitalModel

/// Samples of one series in event-time order, as small as they come: a ring of columns.
///
/// ```
///   marks   4 bytes a sample, only where quality or status differ between samples
///   gaps    none while every sample comes the same time after the one before, else 2 bytes (4 where one is longer than
///           65 s): milliseconds after the sample before
///   values  1 byte above ``base`` (4 where they span more than 255 grid steps)
/// ```
/// A bedside series takes one byte a sample while its clock is steady, three otherwise. Indices are absolute: they grow for ever and survive growth.
/// Memory is freed by ``free()``.
struct SampleLog {
  private var memory: UnsafeMutableRawPointer
  private(set) var capacity: Int
  /// Slot of ``first``.
  private var head = 0
  /// Absolute index of the oldest sample, and one past the newest.
  private(set) var first = 0
  private(set) var end = 0
  /// Event times of the oldest and the newest; meaningless while empty.
  private(set) var firstTime: Int64 = 0
  private(set) var lastTime: Int64 = 0
  private var layout = Layout()
  /// Quality and status of every sample while there is no column of marks.
  private var commonMark: UInt32 = 0

  /// The gap before every sample while there is no column of gaps.
  private var commonGap: Int64 = 0
  /// How many of the newest gaps are equal to the last one: once all are, their column goes.
  private var steadyRun = 0

  private struct Layout: Equatable {
    /// Bytes of one gap: 0, 2 or 4.
    var gapBytes = 0
    var hasWideValues = false
    var hasMarks = false
    var base: Int32 = 0
    var bytesEach: Int { (hasMarks ? 4 : 0) + gapBytes + (hasWideValues ? 4 : 1) }
  }

  /// A gap longer than this (49 days) empties the log: no window reaches across it.
  static let gapMax = Int64(UInt32.max)

  init() {
    capacity = 8
    memory = .allocate(byteCount: 8, alignment: 8)
  }

  func free() { memory.deallocate() }

  var count: Int { end - first }
  var isEmpty: Bool { end == first }
  var heapBytes: Int { capacity * layout.bytesEach }
  var isFull: Bool { end - first == capacity }

  static func mark(_ quality: SampleQuality, _ status: UInt8) -> UInt32 { UInt32(quality.raw) << 8 | UInt32(status) }

  // MARK: Columns

  @inline(__always)
  private func slot(_ index: Int) -> Int {
    let slot = head + (index - first)
    return slot >= capacity ? slot - capacity : slot
  }

  @inline(__always)
  private var gapsOffset: Int { layout.hasMarks ? capacity * 4 : 0 }
  @inline(__always)
  private var valuesOffset: Int { gapsOffset + capacity * layout.gapBytes }

  /// Milliseconds between a sample and the one before it; meaningless for the oldest.
  @inline(__always)
  func gap(_ index: Int) -> Int64 {
    if layout.gapBytes == 0 { return commonGap }
    let slot = slot(index)
    if layout.gapBytes == 4 { return Int64(memory.load(fromByteOffset: gapsOffset + slot * 4, as: UInt32.self)) }
    return Int64(memory.load(fromByteOffset: gapsOffset + slot * 2, as: UInt16.self))
  }

  @inline(__always)
  func value(_ index: Int) -> Int32 {
    let slot = slot(index)
    if layout.hasWideValues { return memory.load(fromByteOffset: valuesOffset + slot * 4, as: Int32.self) }
    return layout.base &+ Int32(memory.load(fromByteOffset: valuesOffset + slot, as: UInt8.self))
  }

  func mark(_ index: Int) -> UInt32 {
    layout.hasMarks ? memory.load(fromByteOffset: slot(index) * 4, as: UInt32.self) : commonMark
  }

  @inline(__always)
  private func write(_ index: Int, gap: Int64, value: Int32, mark: UInt32) {
    let slot = slot(index)
    if layout.hasMarks { memory.storeBytes(of: mark, toByteOffset: slot * 4, as: UInt32.self) }
    if layout.gapBytes == 4 {
      memory.storeBytes(of: UInt32(gap), toByteOffset: gapsOffset + slot * 4, as: UInt32.self)
    } else if layout.gapBytes == 2 {
      memory.storeBytes(of: UInt16(gap), toByteOffset: gapsOffset + slot * 2, as: UInt16.self)
    }
    if layout.hasWideValues {
      memory.storeBytes(of: value, toByteOffset: valuesOffset + slot * 4, as: Int32.self)
    } else {
      memory.storeBytes(of: UInt8(value &- layout.base), toByteOffset: valuesOffset + slot, as: UInt8.self)
    }
  }

  // MARK: Changing

  /// Makes the columns wide enough for what is about to be written.
  @inline(__always)
  private mutating func fit(gap: Int64, value: Int32, mark: UInt32) {
    if isEmpty, !layout.hasMarks { commonMark = mark }
    let fitsGap: Bool
    switch layout.gapBytes {
    case 0:
      if count == 1 { commonGap = gap }
      fitsGap = count == 0 || gap == commonGap
    case 2: fitsGap = gap <= Int64(UInt16.max)
    default: fitsGap = true
    }
    let fitsValue = layout.hasWideValues || UInt32(bitPattern: value &- layout.base) <= 255
    let fitsMark = layout.hasMarks || mark == commonMark
    if fitsGap && fitsValue && fitsMark { return }
    widen(gap: fitsGap ? 0 : gap, fitsValue: fitsValue, fitsMark: fitsMark, value: value)
  }

  private mutating func widen(gap: Int64, fitsValue: Bool, fitsMark: Bool, value: Int32) {
    var wider = layout
    if gap > 0 {
      let widest = layout.gapBytes == 0 && count > 1 ? max(gap, commonGap) : gap
      wider.gapBytes = widest > Int64(UInt16.max) ? 4 : 2
    }
    if !fitsMark { wider.hasMarks = true }
    if !fitsValue {
      var low = Int64(value)
      var high = Int64(value)
      for index in first..<end {
        low = min(low, Int64(self.value(index)))
        high = max(high, Int64(self.value(index)))
      }
      if high - low <= 255 {
        wider.base = Int32(clamping: low - (255 - (high - low)) / 2)
      } else {
        wider.hasWideValues = true
      }
    }
    relay(wider, capacity: capacity)
  }

  /// Another third of room, so that a window that is full stays within a few samples of its size.
  mutating func grow(atMost limit: Int) { relay(layout, capacity: min(limit, capacity + max(8, capacity / 4 / 8 * 8))) }

  private mutating func relay(_ wider: Layout, capacity newCapacity: Int) {
    var other = self
    other.layout = wider
    other.capacity = newCapacity
    other.head = 0
    other.memory = .allocate(byteCount: newCapacity * wider.bytesEach, alignment: 8)
    for index in first..<end {
      other.write(index, gap: index == first ? 0 : gap(index), value: value(index), mark: mark(index))
    }
    memory.deallocate()
    self = other
  }

  mutating func removeAll() {
    first = end
    head = 0
  }

  /// - Precondition: there is room, and `time` is later than ``lastTime`` by at most ``gapMax`` unless the log is empty.
  @inline(__always)
  mutating func append(time: Int64, value: Int32, mark: UInt32) {
    let gap = isEmpty ? 0 : time - lastTime
    if layout.gapBytes > 0 { noteGap(gap) }
    fit(gap: gap, value: value, mark: mark)
    if isEmpty { firstTime = time }
    end += 1
    write(end - 1, gap: gap, value: value, mark: mark)
    lastTime = time
  }

  /// Where every gap has been the same for a whole log's length, their column is given up.
  private mutating func noteGap(_ gap: Int64) {
    steadyRun = count > 1 && gap == self.gap(end - 1) ? steadyRun + 1 : 0
    guard steadyRun >= count, count > 1 else { return }
    var narrower = layout
    narrower.gapBytes = 0
    commonGap = gap
    steadyRun = 0
    relay(narrower, capacity: capacity)
  }

  @inline(__always)
  mutating func dropFirst() {
    first += 1
    head = head + 1 == capacity ? 0 : head + 1
    if first < end { firstTime += gapAfterDrop() }
  }

  @inline(__always)
  private func gapAfterDrop() -> Int64 { gap(first) }

  /// Puts a sample between others; O(samples after it).
  ///
  /// - Precondition: there is room, `before` is the time of the sample at `index - 1` (ignored at ``first``), and the sample
  ///   now at `index` is later than `time`.
  mutating func insert(at index: Int, time: Int64, before: Int64, value: Int32, mark: UInt32) {
    let gapBefore = index == first ? 0 : time - before
    let gapAfter = index == first ? firstTime - time : gap(index) - gapBefore
    steadyRun = 0
    if layout.gapBytes == 0 { spell(max(gapBefore, gapAfter)) }
    fit(gap: max(gapBefore, gapAfter), value: value, mark: mark)
    if index == first { firstTime = time }
    end += 1
    var place = end - 1
    while place > index {
      write(place, gap: gap(place - 1), value: self.value(place - 1), mark: self.mark(place - 1))
      place -= 1
    }
    write(index, gap: gapBefore, value: value, mark: mark)
    write(index + 1, gap: gapAfter, value: self.value(index + 1), mark: self.mark(index + 1))
  }

  /// Gives gaps their column: what comes is not steady.
  private mutating func spell(_ gap: Int64) {
    var wider = layout
    wider.gapBytes = max(gap, commonGap) > Int64(UInt16.max) ? 4 : 2
    relay(wider, capacity: capacity)
  }

  mutating func replace(_ index: Int, value: Int32, mark: UInt32) {
    let gap = layout.gapBytes == 0 ? commonGap : index == first ? 0 : gap(index)
    fit(gap: gap, value: value, mark: mark)
    write(index, gap: gap, value: value, mark: mark)
  }
}

/// Kept samples, oldest first.
package struct KeptSamples: Sequence, IteratorProtocol {
  package typealias Element = (time: Int64, value: Int32, quality: SampleQuality, status: UInt8)
  let log: SampleLog
  var index: Int
  var time: Int64

  package var count: Int { log.end - index }

  package mutating func next() -> Element? {
    guard index < log.end else { return nil }
    let mark = log.mark(index)
    let element: Element = (time, log.value(index), SampleQuality(raw: UInt16(mark >> 8)), UInt8(mark & 0xFF))
    index += 1
    if index < log.end { time += log.gap(index) }
    return element
  }
}
