import Testing

/// Every interleaving of the machine, not a sample of them: capacity 2, two consumers, 3 elements; 2 where the producer
/// closes, since by then it no longer waits itself and the third element only multiplies the states (`ring.pml` has it).
@Suite struct RingModelTests {
  enum Verdict: Hashable {
    /// Every state obeys the rules, and from every one the end can be reached.
    case sound
    case fault(RingMachine.Fault)
    /// A state from which nobody moves although not all have finished: a lost wake-up.
    case stuck
    /// A state from which the end cannot be reached any more.
    case endless
  }

  @Test(arguments: [RingMachine.Shape.chain, .fan], [true, false])
  func shippedProtocolIsSound(shape: RingMachine.Shape, closes: Bool) {
    let (verdict, states) = explore(RingMachine.Setting(shape: shape, items: closes ? 2 : 3, closes: closes))
    #expect(verdict == .sound)
    #expect(states > 1_000)
  }

  /// The explorer finds what it is there to find: each part of the protocol is needed.
  @Test func eachPartIsNeeded() {
    let stuck: [RingMachine.Variant] = [
      .withoutFence, .withoutCount, .withoutRecheck, .withoutHolderRecheck,
    ]
    for variant in stuck {
      let (verdict, _) = explore(RingMachine.Setting(shape: .fan, closes: false, variant: variant))
      #expect(verdict == .stuck, "\(variant)")
    }
    let (order, _) = explore(RingMachine.Setting(shape: .chain, closes: true, variant: .withoutBarrier))
    #expect(order == .fault(.stageOrder))
  }

  private func explore(_ setting: RingMachine.Setting) -> (Verdict, states: Int) {
    var numbers: [RingMachine: Int32] = [RingMachine(): 0]
    var states = [RingMachine()]
    var predecessors: [[Int32]] = [[]]
    var ends: [Int32] = []
    var next = 0
    while next < states.count {
      let state = states[next]
      let successors: [RingMachine]
      do { successors = try state.successors(setting) } catch { return (.fault(error), states.count) }
      if successors.isEmpty {
        guard state.isFinal() else { return (.stuck, states.count) }
        ends.append(Int32(next))
      }
      for successor in successors {
        if let known = numbers[successor] {
          predecessors[Int(known)].append(Int32(next))
        } else {
          numbers[successor] = Int32(states.count)
          states.append(successor)
          predecessors.append([Int32(next)])
        }
      }
      next += 1
    }
    return (allReach(ends, predecessors) ? .sound : .endless, states.count)
  }

  /// Walks backwards from the ends: termination is possible from everywhere, so it happens under any fair scheduler.
  private func allReach(_ ends: [Int32], _ predecessors: [[Int32]]) -> Bool {
    var reached = [Bool](repeating: false, count: predecessors.count)
    var open = ends
    for end in ends { reached[Int(end)] = true }
    while let state = open.popLast() {
      for earlier in predecessors[Int(state)] where !reached[Int(earlier)] {
        reached[Int(earlier)] = true
        open.append(earlier)
      }
    }
    return reached.allSatisfy { $0 }
  }
}
