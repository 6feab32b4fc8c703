package reelhouse;

import java.util.Set;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.TableIdentifier;
import org.apache.spark.sql.catalyst.analysis.ExpressionWithUnresolvedIdentifier;
import org.apache.spark.sql.catalyst.analysis.PlanWithUnresolvedIdentifier;
import org.apache.spark.sql.catalyst.analysis.UnresolvedFunction;
import org.apache.spark.sql.catalyst.analysis.UnresolvedRelation;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.parser.ParseException;
import org.apache.spark.sql.catalyst.parser.ParserInterface;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.ParsedStatement;
import org.apache.spark.sql.catalyst.plans.logical.ScriptTransformation;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;
import scala.Function2;
import scala.Product;
import scala.collection.Iterator;
import scala.collection.immutable.Seq;

/**
 * Spark's parser, which refuses all statements but questions, and of those what reaches past the tables: files by their path, programs
 * (TRANSFORM) and Java methods. It looks at what was parsed, so that neither comments nor variables hide anything.
 * Also the Function2 (session, parser) -> parser by which a session takes it in.
 */
public class ReadOnlyParser implements ParserInterface, Function2 {
  private final ParserInterface parser;
  private final Set databases;

  public ReadOnlyParser(ParserInterface parser, Set databases) {
    this.parser = parser;
    this.databases = databases;
  }

  public Object apply(Object session, Object parser) {
    return new ReadOnlyParser((ParserInterface) parser, databases);
  }

  public LogicalPlan parsePlan(String text) throws ParseException {
    return asked(parser.parsePlan(text));
  }

  public LogicalPlan parseQuery(String text) throws ParseException {
    return asked(parser.parseQuery(text));
  }

  private LogicalPlan asked(LogicalPlan plan) {
    look(plan);
    return plan;
  }

  /** Everything that a node is made of, not its children alone: subqueries lie in expressions and in lists of names. */
  private void look(Object part) {
    if (part instanceof Command || part instanceof ParsedStatement || (part instanceof LogicalPlan && isStatement(part))) {
      lookAtCommand(part.getClass().getSimpleName());
    } else if (part instanceof ScriptTransformation) {
      refuse("TRANSFORM runs a program");
    } else if (part instanceof PlanWithUnresolvedIdentifier || part instanceof ExpressionWithUnresolvedIdentifier) {
      refuse("IDENTIFIER makes names that can't be looked at");
    } else if (part instanceof UnresolvedRelation) {
      lookAtName(((UnresolvedRelation) part).multipartIdentifier());
    } else if (part instanceof UnresolvedFunction) {
      lookAtFunction(String.valueOf(((UnresolvedFunction) part).nameParts().last()).toLowerCase());
    }
    if (part instanceof scala.collection.Iterable) {
      lookAtAll(((scala.collection.Iterable) part).iterator());
    } else if (part instanceof Product) {
      lookAtAll(((Product) part).productIterator());
    }
  }

  /** What is neither command nor statement by its type, and none the less does something: INSERT into a folder, Delta's RESTORE. */
  private static boolean isStatement(Object plan) {
    String name = plan.getClass().getSimpleName();
    return name.endsWith("Statement") || name.startsWith("Insert") || name.startsWith("ExecuteImmediate");
  }

  private void lookAtAll(Iterator parts) {
    while (parts.hasNext()) {
      look(parts.next());
    }
  }

  private void lookAtCommand(String name) {
    boolean asks = name.startsWith("Show") || name.startsWith("Describe") || name.startsWith("Explain");
    // USE and SET change the client's own session only; clients send them by themselves
    if (!asks && !name.equals("SetCatalogAndNamespace") && !name.equals("SetNamespaceCommand") && !name.equals("SetCommand")) {
      refuse(name);
    }
  }

  private void lookAtName(Seq parts) {
    for (int i = 0; i < parts.size() - 1; i++) {
      if (!databases.contains(String.valueOf(parts.apply(i)).toLowerCase())) {
        refuse("there is no database " + parts.apply(i));
      }
    }
  }

  private void lookAtFunction(String name) {
    if (name.equals("reflect") || name.equals("java_method") || name.equals("try_reflect")) {
      refuse(name + " runs a Java method");
    }
  }

  private static void refuse(String what) {
    throw new UnsupportedOperationException(
        "this server only reads: select, with, values, table, show, describe, explain (" + what + ")");
  }

  public Expression parseExpression(String text) throws ParseException {
    return parser.parseExpression(text);
  }

  public TableIdentifier parseTableIdentifier(String text) throws ParseException {
    return parser.parseTableIdentifier(text);
  }

  public FunctionIdentifier parseFunctionIdentifier(String text) throws ParseException {
    return parser.parseFunctionIdentifier(text);
  }

  public Seq parseMultipartIdentifier(String text) throws ParseException {
    return parser.parseMultipartIdentifier(text);
  }

  public StructType parseRoutineParam(String text) throws ParseException {
    return parser.parseRoutineParam(text);
  }

  public StructType parseTableSchema(String text) throws ParseException {
    return parser.parseTableSchema(text);
  }

  public DataType parseDataType(String text) throws ParseException {
    return parser.parseDataType(text);
  }
}
