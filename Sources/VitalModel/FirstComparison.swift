/// What a rule's message shows where it reads several vitals: the two sides of its first comparison.
extension RuleDefinition {
  /// The sides of the first comparison of ``when`` whose right side is constant for a patient; nil: there is none.
  package var firstComparison: (left: Program, right: Program)? {
    let code = when.instructions
    guard let at = code.firstIndex(where: \.isComparison) else { return nil }
    guard let right = operand(endingBefore: at), let left = operand(endingBefore: right.lowerBound) else { return nil }
    let isConstant = code[right].allSatisfy { instruction in
      switch instruction {
      case .constant, .parameter, .add, .subtract, .multiply, .divide, .negate, .absolute: true
      default: false
      }
    }
    guard isConstant else { return nil }
    return (
      Program(instructions: Array(code[left]), text: ""), Program(instructions: Array(code[right]), text: "")
    )
  }

  /// The vital the first comparison is about, where its left side is one number on that vital's grid.
  package var firstComparedVital: VitalCode? {
    guard let left = firstComparison?.left.instructions, left.count == 1, case .feature(let index) = left[0],
      features[index].kind.isOfGrid
    else { return nil }
    return features[index].code
  }

  /// The instructions that leave the one value on the stack which the instruction at `end` takes last.
  private func operand(endingBefore end: Int) -> Range<Int>? {
    var wanted = 1
    var start = end
    while wanted > 0 {
      start -= 1
      guard start >= 0 else { return nil }
      wanted += when.instructions[start].operandCount - 1
    }
    return start..<end
  }
}

extension Instruction {
  package var isComparison: Bool {
    switch self {
    case .less, .lessOrEqual, .greater, .greaterOrEqual, .equal, .notEqual: true
    default: false
    }
  }

  /// How many values it takes off the stack; it leaves one.
  package var operandCount: Int {
    switch self {
    case .constant, .parameter, .feature, .score, .scoreComponent, .attribute: 0
    case .negate, .absolute, .not: 1
    case .add, .subtract, .multiply, .divide, .less, .lessOrEqual, .greater, .greaterOrEqual, .equal, .notEqual, .and,
      .or:
      2
    case .atLeast(_, let count): count
    }
  }
}
