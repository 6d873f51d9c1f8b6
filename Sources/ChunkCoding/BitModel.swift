/// How single bits are predicted. A *slot* is 32 bits: the probability of a 1 in 22 bits, above a count of how often the
/// slot was met in 10 bits. A slot moves towards what it meets, by less the more it has met.
///
/// Slots and mixing weights lie in one flat block of words, which a chunk starts as a copy of its start state.
struct BitModel {
  /// A slot that has met nothing: one half.
  static let freshSlot: UInt32 = 1 << 31

  let words: UnsafeMutablePointer<UInt32>
  private let stretch: UnsafePointer<Int16>
  private let squash: UnsafePointer<UInt16>
  private let rate: UnsafePointer<UInt16>

  @inline(__always)
  init(_ words: UnsafeMutablePointer<UInt32>) {
    self.words = words
    stretch = LogisticTables.shared.stretch
    squash = LogisticTables.shared.squash
    rate = LogisticTables.shared.rate
  }

  /// Moves a slot towards the bit it met.
  @inline(__always)
  private func learn(_ slot: UnsafeMutablePointer<UInt32>, _ bit: UInt32) {
    let state = slot.pointee
    let count = state & 1023
    let probability = Int32(bitPattern: state &>> 10)
    let target: Int32 = bit != 0 ? 4_194_303 : 0
    let step = (((target &- probability) &>> 6) &* Int32(rate[Int(count)]) &+ 128) &>> 8
    let moved = min(4_194_240, max(64, probability &+ step))
    slot.pointee = (UInt32(bitPattern: moved) &<< 10) | (count &+ (count < 1023 ? 1 : 0))
  }

  /// Codes a bit by one slot.
  @inline(__always)
  func single<Coder: BitCoder>(_ coder: inout Coder, _ slot: Int, _ bit: UInt32) -> UInt32 {
    let pointer = words + slot
    let probability = min(65_504, max(32, pointer.pointee &>> 16))
    let found = coder.code(bit, probability)
    learn(pointer, found)
    return found
  }

  /// Codes bits that nothing predicts, the most significant first.
  @inline(__always)
  func plain<Coder: BitCoder>(_ coder: inout Coder, _ value: UInt64, bits: Int) -> UInt64 {
    var result: UInt64 = 0
    var left = bits
    while left > 0 {
      left &-= 1
      let bit = coder.code(UInt32(truncatingIfNeeded: value &>> UInt64(left)) & 1, 32_768)
      result = (result &<< 1) | UInt64(bit)
    }
    return result
  }

  /// Codes a bit by seven slots: their logits, weighted and summed, are the logit of the prediction. The weights then move
  /// along the gradient of the coding cost, and every slot learns.
  ///
  /// - Parameter weights: eight words, the last for a constant input; signed, 65,536 is 1.
  @inline(__always)
  func mixed<Coder: BitCoder>(
    _ coder: inout Coder, _ slots: (Int, Int, Int, Int, Int, Int, Int), weights: Int, _ bit: UInt32
  ) -> UInt32 {
    let (p0, p1, p2, p3) = (words + slots.0, words + slots.1, words + slots.2, words + slots.3)
    let (p4, p5, p6) = (words + slots.4, words + slots.5, words + slots.6)
    let inputs = SIMD8<Int32>(
      logit(p0), logit(p1), logit(p2), logit(p3), logit(p4), logit(p5), logit(p6), 256)
    let memory = UnsafeMutableRawPointer(words + weights)
    let weight = memory.loadUnaligned(as: SIMD8<Int32>.self)
    let sum = ((weight &>> 2) &* inputs).wrappedSum() &>> 14
    let logit = min(LogisticTables.logitMax, max(-LogisticTables.logitMax, sum))
    let probability = UInt32(squash[Int(logit &+ 2048)])
    let found = coder.code(bit, probability)
    // The error in 1/4096, so that its product with a logit stays within 32 bits.
    let error = (Int32(bitPattern: found &<< 16) &- Int32(bitPattern: probability)) &>> 4
    let moved = weight &+ ((inputs &* SIMD8(repeating: error) &+ 512) &>> 10)
    memory.storeBytes(of: moved.clamped(lowerBound: BitModel.weightMin, upperBound: BitModel.weightMax), as: SIMD8<Int32>.self)
    learn(p0, found)
    learn(p1, found)
    learn(p2, found)
    learn(p3, found)
    learn(p4, found)
    learn(p5, found)
    learn(p6, found)
    return found
  }

  /// The same with three slots and four weights.
  @inline(__always)
  func mixed<Coder: BitCoder>(
    _ coder: inout Coder, _ slots: (Int, Int, Int), weights: Int, _ bit: UInt32
  ) -> UInt32 {
    let (p0, p1, p2) = (words + slots.0, words + slots.1, words + slots.2)
    let inputs = SIMD4<Int32>(logit(p0), logit(p1), logit(p2), 256)
    let memory = UnsafeMutableRawPointer(words + weights)
    let weight = memory.loadUnaligned(as: SIMD4<Int32>.self)
    let sum = ((weight &>> 2) &* inputs).wrappedSum() &>> 14
    let logit = min(LogisticTables.logitMax, max(-LogisticTables.logitMax, sum))
    let probability = UInt32(squash[Int(logit &+ 2048)])
    let found = coder.code(bit, probability)
    let error = (Int32(bitPattern: found &<< 16) &- Int32(bitPattern: probability)) &>> 4
    let moved = weight &+ ((inputs &* SIMD4(repeating: error) &+ 512) &>> 10)
    memory.storeBytes(
      of: moved.clamped(lowerBound: .init(repeating: -weightLimit), upperBound: .init(repeating: weightLimit)),
      as: SIMD4<Int32>.self)
    learn(p0, found)
    learn(p1, found)
    learn(p2, found)
    return found
  }

  @inline(__always)
  private func logit(_ slot: UnsafeMutablePointer<UInt32>) -> Int32 { Int32(stretch[Int(slot.pointee &>> 20)]) }

  // Within these the weighted sum of eight logits stays within 32 bits: 8 x 65,535 x 2047 < 2^31.
  private static var weightMin: SIMD8<Int32> { SIMD8(repeating: -weightLimit) }
  private static var weightMax: SIMD8<Int32> { SIMD8(repeating: weightLimit) }

  /// Codes a non-negative number in Elias gamma form: how many bits it has in unary under `lengths` (32 slots), then the
  /// bits below the first, the upper three under `bits` (32 x 8 slots).
  @inline(__always)
  func number<Coder: BitCoder>(
    _ coder: inout Coder, lengths: Int, bits: Int, _ value: UInt64
  ) -> UInt64 {
    let shifted = value &+ 1
    let width = Coder.isDecoder ? 0 : 63 &- shifted.leadingZeroBitCount
    var length = 0
    while length < 63, single(&coder, lengths &+ min(length, 31), length < width ? 1 : 0) != 0 { length &+= 1 }
    return trailing(&coder, bits: bits, length: length, shifted) &- 1
  }

  /// The bits below the first of a number of `length` + 1 bits; the upper three of them modelled.
  @inline(__always)
  func trailing<Coder: BitCoder>(_ coder: inout Coder, bits: Int, length: Int, _ value: UInt64) -> UInt64 {
    let slots = bits &+ min(length, 31) &* 8
    var result: UInt64 = 1
    var left = length
    while left > 0, length &- left < 3 {
      left &-= 1
      let bit = UInt32(truncatingIfNeeded: value &>> UInt64(left)) & 1
      // 1, 10, 11, 100...111: the bits so far are the number of the slot.
      result = (result &<< 1) | UInt64(single(&coder, slots &+ Int(result), bit))
    }
    guard left > 0 else { return result }
    return (result &<< UInt64(left)) | plain(&coder, value, bits: left)
  }
}

/// The largest weight: 4 (and the least, -4).
let weightLimit: Int32 = (1 << 18) - 1

extension Bool {
  /// 1 or 0.
  @inline(__always) var bit: UInt32 { self ? 1 : 0 }
}
