package reelhouse;

import java.lang.reflect.Field;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.hive.service.cli.CLIService;
import org.apache.hive.service.cli.HiveSQLException;
import org.apache.hive.service.cli.SessionHandle;
import org.apache.hive.service.cli.operation.OperationManager;
import org.apache.hive.service.cli.session.HiveSession;
import org.apache.hive.service.cli.session.SessionManager;
import org.apache.hive.service.rpc.thrift.TProtocolVersion;
import org.apache.hive.service.server.HiveServer2;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.TableIdentifier;
import org.apache.spark.sql.catalyst.analysis.ExpressionWithUnresolvedIdentifier;
import org.apache.spark.sql.catalyst.analysis.PlanWithUnresolvedIdentifier;
import org.apache.spark.sql.catalyst.analysis.UnresolvedFunction;
import org.apache.spark.sql.catalyst.analysis.UnresolvedNamespace;
import org.apache.spark.sql.catalyst.analysis.UnresolvedTableValuedFunction;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.parser.ParseException;
import org.apache.spark.sql.catalyst.parser.ParserInterface;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.ParsedStatement;
import org.apache.spark.sql.catalyst.plans.logical.ScriptTransformation;
import org.apache.spark.sql.execution.command.SetCommand;
import org.apache.spark.sql.execution.command.SetNamespaceCommand;
import org.apache.spark.sql.internal.SQLConf;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;
import scala.Function2;
import scala.Option;
import scala.Product;
import scala.Tuple2;
import scala.collection.Iterator;
import scala.collection.immutable.Seq;

/**
 * Spark's parser, which refuses all statements but questions, and of those what reaches past the tables: files by their path, other
 * catalogs, programs (TRANSFORM), Java methods and the server's settings. It looks at what was parsed, so that comments hide nothing.
 * Also the Function2 (session, parser) -> parser by which a session takes it in.
 */
public class ReadOnlyParser implements ParserInterface, Function2 {
  /** What a client may set and see. Any other setting may hold a secret, or name a catalog, a file system or a class to load. */
  private static final List SETTINGS = Arrays.asList(new String[] {
    "spark.sql.adaptive.enabled",
    "spark.sql.ansi.enabled",
    "spark.sql.autoBroadcastJoinThreshold",
    "spark.sql.legacy.timeParserPolicy",
    "spark.sql.session.timeZone",
    "spark.sql.shuffle.partitions"
  });
  /** What Spark calls the first part of a node that names a table, a database or a function. */
  private static final List NAMES = Arrays.asList(new String[] {"multipartIdentifier", "nameParts", "name", "namespace"});

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
    return asked(parser.parsePlan(withoutVariables(text)));
  }

  public LogicalPlan parseQuery(String text) throws ParseException {
    return asked(parser.parseQuery(withoutVariables(text)));
  }

  /** Spark puts settings and the server's environment in place of variables, in literals too, before it parses. */
  private static String withoutVariables(String text) {
    if (text.contains("${")) {
      refuse("${...} is filled in from the server's own settings and environment");
    }
    return text;
  }

  private LogicalPlan asked(LogicalPlan plan) throws ParseException {
    if (plan instanceof SetCommand) {
      Option setting = ((SetCommand) plan).kv();
      Object name = setting.isEmpty() ? "" : ((Tuple2) setting.get())._1();
      if (name.equals("") || name.equals("-v")) { // some clients ask so when they connect
        return settings(name.equals("") ? "key, value" : "key, value, meaning");
      }
    }
    look(plan);
    return plan;
  }

  /** In place of SET and SET -v, which show everything. */
  private LogicalPlan settings(String columns) throws ParseException {
    StringBuilder rows = new StringBuilder();
    for (int i = 0; i < SETTINGS.size(); i++) {
      String name = (String) SETTINGS.get(i);
      rows.append(i == 0 ? "" : ", ").append("('" + name + "', '" + SQLConf.get().getConfString(name).replace("'", "") + "', '')");
    }
    return parser.parsePlan("select " + columns + " from values " + rows + " as settings(key, value, meaning)");
  }

  /** Everything that a node is made of, not its children alone: subqueries lie in expressions and in lists of names. */
  private void look(Object part) {
    if (part instanceof SetCommand) {
      lookAtSetting(((SetCommand) part).kv());
    } else if (part instanceof Command || part instanceof ParsedStatement || (part instanceof LogicalPlan && isStatement(part))) {
      lookAtCommand(part.getClass().getSimpleName());
    } else if (part instanceof ScriptTransformation) {
      refuse("TRANSFORM runs a program");
    } else if (part instanceof PlanWithUnresolvedIdentifier || part instanceof ExpressionWithUnresolvedIdentifier) {
      refuse("IDENTIFIER makes names that can't be looked at");
    }
    if (part instanceof LogicalPlan || part instanceof UnresolvedFunction) {
      lookAtNames((Product) part);
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
    // USE changes the client's own session only; clients send it by themselves
    if (!asks && !name.equals("SetCatalogAndNamespace") && !name.equals("SetNamespaceCommand")) {
      refuse(name);
    }
  }

  private static void lookAtSetting(Option setting) {
    if (setting.isEmpty() || !SETTINGS.contains(((Tuple2) setting.get())._1())) {
      refuse("of the settings, " + SETTINGS + " may be seen and set");
    }
  }

  private void lookAtNames(Product part) {
    if (part.getClass().getSimpleName().startsWith("UnresolvedPathBased")) {
      refuse("a table is asked for by its name");
    }
    if (part.productArity() == 0 || !(part.productElement(0) instanceof Seq) || !NAMES.contains(part.productElementName(0))) {
      return;
    }
    Seq parts = (Seq) part.productElement(0);
    boolean ofDatabase = part instanceof UnresolvedNamespace || part instanceof SetNamespaceCommand;
    for (int i = 0; i < (ofDatabase ? parts.size() : parts.size() - 1); i++) {
      if (!databases.contains(String.valueOf(parts.apply(i)).toLowerCase())) {
        refuse("there is no database " + parts.apply(i));
      }
    }
    if (part instanceof UnresolvedFunction || part instanceof UnresolvedTableValuedFunction) {
      lookAtFunction(String.valueOf(parts.last()).toLowerCase());
    }
  }

  private static void lookAtFunction(String name) {
    if (name.equals("reflect") || name.equals("java_method") || name.equals("try_reflect")) {
      refuse(name + " runs a Java method");
    }
    if (name.startsWith("table_changes")) {
      refuse(name + " reads a table by a text that can't be looked at");
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

  /** The server's sessions, opened with none but those settings: the rest of a client's address never meets the parser. */
  public static class Sessions extends SessionManager {
    private static final String FETCH = "hive.server2.thrift.resultset.default.fetch.size";
    private final SessionManager manager;

    /** Takes the place of the sessions that the server has. */
    public Sessions(HiveServer2 server) throws ReflectiveOperationException {
      super(server);
      Object service = null;
      for (java.util.Iterator services = server.getServices().iterator(); !(service instanceof CLIService);) {
        service = services.next();
      }
      Field field = CLIService.class.getDeclaredField("sessionManager");
      field.setAccessible(true);
      manager = (SessionManager) field.get(service);
      field.set(service, this);
    }

    public SessionHandle openSession(
        TProtocolVersion protocol, String user, String password, String address, Map settings, boolean asUser, String token)
        throws HiveSQLException {
      return manager.openSession(protocol, user, password, address, held(settings), asUser, token);
    }

    private static Map held(Map settings) {
      Map held = new HashMap();
      for (java.util.Iterator keys = settings == null ? held.keySet().iterator() : settings.keySet().iterator(); keys.hasNext();) {
        String key = (String) keys.next();
        String name = key.replaceFirst("^set:(hiveconf:|hivevar:)?", "");
        if (key.equals("use:database") || SETTINGS.contains(name) || name.equals(FETCH)) {
          held.put(key, withoutVariables(String.valueOf(settings.get(key))));
        } else if (!name.startsWith("hive.")) { // those are what drivers send by themselves, and mean nothing to Spark
          refuse("of the settings, " + SETTINGS + " may be set, not " + name);
        }
      }
      return held;
    }

    public SessionHandle openSession(TProtocolVersion protocol, String user, String password, String address, Map settings)
        throws HiveSQLException {
      return openSession(protocol, user, password, address, settings, false, null);
    }

    public void closeSession(SessionHandle session) throws HiveSQLException {
      manager.closeSession(session);
    }

    public HiveSession getSession(SessionHandle session) throws HiveSQLException {
      return manager.getSession(session);
    }

    public OperationManager getOperationManager() {
      return manager.getOperationManager();
    }

    public Future submitBackgroundOperation(Runnable operation) {
      return manager.submitBackgroundOperation(operation);
    }

    public int getOpenSessionCount() {
      return manager.getOpenSessionCount();
    }
  }
}
