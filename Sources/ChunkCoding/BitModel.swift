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

  /// Moves a slot towards the bit it met: `mask` is all ones above the count for a 1, else 0.
  ///
  /// Turned over for a 1, the probability is the distance to what was met, of which at most 5/8 and a half are taken away:
  /// it stays in its 22 bits.
  @inline(__always)
  private func learn(_ slot: UnsafeMutablePointer<UInt32>, _ mask: UInt32) {
    let state = slot.pointee ^ mask
    let count = state & 1023
    let step = ((state &>> 16) &* UInt32(rate[Int(count)]) &+ 128) &>> 8
    slot.pointee = (state &- step &<< 10 &+ (count != 1023 ? 1 : 0)) ^ mask
  }

  @inline(__always)
  private func mask(_ bit: UInt32) -> UInt32 { (0 &- bit) &<< 10 }

  /// Codes a bit by one slot.
  @inline(__always)
  func single<Coder: BitCoder>(_ coder: inout Coder, _ slot: Int, _ bit: UInt32) -> UInt32 {
    let pointer = words + slot
    let probability = min(65_504, max(32, pointer.pointee &>> 16))
    let found = coder.code(bit, probability)
    learn(pointer, mask(found))
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

  /// Where the slots of seven contexts begin, and the weights that mix them.
  struct Contexts {
    var slots: (Int, Int, Int, Int, Int, Int, Int)
    /// Eight words for each node, the last for a constant input; signed, 65,536 is 1.
    var weights: Int
  }

  /// Codes a bit by seven slots: their logits, weighted and summed, are the logit of the prediction. The weights then move
  /// along the gradient of the coding cost, and every slot learns. Weights are small numbers; were one to grow beyond
  /// what 32 bits take, the sum would wrap, alike on every machine.
  ///
  /// - Parameter node: the slot of each context; of the last one at most 3.
  @inline(__always)
  func mixed<Coder: BitCoder>(
    _ coder: inout Coder, _ contexts: Contexts, _ node: Int, _ bit: UInt32
  ) -> UInt32 {
    let base = words + node
    let (p0, p1, p2) = (base + contexts.slots.0, base + contexts.slots.1, base + contexts.slots.2)
    let (p3, p4, p5) = (base + contexts.slots.3, base + contexts.slots.4, base + contexts.slots.5)
    let p6 = words + (contexts.slots.6 &+ min(node, 3))
    let inputs = SIMD8<Int32>(
      logit(p0), logit(p1), logit(p2), logit(p3), logit(p4), logit(p5), logit(p6), 256)
    let memory = UnsafeMutableRawPointer(words + (contexts.weights &+ node &* 8))
    let weight = memory.loadUnaligned(as: SIMD8<Int32>.self)
    let sum = ((weight &>> 2) &* inputs).wrappedSum() &>> 14
    let logit = min(LogisticTables.logitMax, max(-LogisticTables.logitMax, sum))
    let probability = UInt32(squash[Int(logit &+ 2048)])
    let found = coder.code(bit, probability)
    adjust(memory, weight, inputs, found, probability)
    let mask = mask(found)
    learn(p0, mask)
    learn(p1, mask)
    learn(p2, mask)
    learn(p3, mask)
    learn(p4, mask)
    learn(p5, mask)
    learn(p6, mask)
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
    adjust(memory, weight, inputs, found, probability)
    let mask = mask(found)
    learn(p0, mask)
    learn(p1, mask)
    learn(p2, mask)
    return found
  }

  @inline(__always)
  private func logit(_ slot: UnsafeMutablePointer<UInt32>) -> Int32 { Int32(stretch[Int(slot.pointee &>> 20)]) }

  /// Moves weights along the gradient of the coding cost. What was as good as certain moves nothing: certainty would
  /// drive weights up for ever.
  @inline(__always)
  private func adjust<Vector: SIMD>(
    _ memory: UnsafeMutableRawPointer, _ weight: Vector, _ inputs: Vector, _ found: UInt32, _ probability: UInt32
  ) where Vector.Scalar == Int32 {
    let miss = Int32(bitPattern: found &<< 16) &- Int32(bitPattern: probability)
    guard miss > 32 || miss < -32 else { return }
    // The error in 1/4096, so that its product with a logit stays within 32 bits.
    let moved =
      weight &+ ((inputs &* Vector(repeating: miss &>> 4) &+ Vector(repeating: 512)) &>> Vector(repeating: 10))
    memory.storeBytes(of: moved, as: Vector.self)
  }

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

extension Bool {
  /// 1 or 0.
  @inline(__always) var bit: UInt32 { self ? 1 : 0 }
}
