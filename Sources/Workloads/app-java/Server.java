// Values under keys over HTTP, and meanwhile: compiled loops, garbage collection, timers, threads over a queue.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.lang.ref.WeakReference;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32;

public final class Server {
    private static final Map<String, byte[]> values = new ConcurrentHashMap<>();
    private static final AtomicLong ticks = new AtomicLong();
    private static final AtomicLong jobs = new AtomicLong();
    private static final AtomicLong collected = new AtomicLong();
    private static volatile String failed;

    private static int[] table() {
        int[] table = new int[256];
        for (int each = 0; each < 256; each++) {
            int value = each;
            for (int bit = 0; bit < 8; bit++) value = (value & 1) != 0 ? (value >>> 1) ^ 0xEDB88320 : value >>> 1;
            table[each] = value;
        }
        return table;
    }

    /** A checksum in plain code, compared with the library's, which the compiler knows an instruction for. */
    private static void calculate() {
        int[] table = table();
        byte[] content = new byte[2048];
        CRC32 library = new CRC32();
        for (long round = 0;; round++) {
            for (int each = 0; each < content.length; each++) content[each] = (byte) (round * 31 + each * 7);
            int own = ~0;
            for (byte each : content) own = table[(own ^ each) & 255] ^ (own >>> 8);
            library.reset();
            library.update(content);
            if (~own != (int) library.getValue()) failed = "checksum " + round + " is wrong";
            jobs.incrementAndGet();
            pause(3);
        }
    }

    /** Garbage of several ages, and a list that must survive its collection. */
    private static void litter() {
        List<int[]> kept = new ArrayList<>();
        for (int each = 0; each < 100; each++) kept.add(new int[] {each, each * each});
        WeakReference<Object> weak = new WeakReference<>(new Object());
        for (int round = 0;; round++) {
            List<String> young = new ArrayList<>();
            for (int each = 0; each < 500; each++) young.add("string " + each);
            kept.set(round % 100, new int[] {round % 100, (round % 100) * (round % 100)});
            for (int[] each : kept) if (each[1] != each[0] * each[0]) failed = "a kept object has changed";
            if (weak.get() == null) {
                collected.incrementAndGet();
                weak = new WeakReference<>(new Object());
            }
            if (round % 200 == 100) System.gc();
            if (young.size() != 500) failed = "a list has other members";
            pause(5);
        }
    }

    private static void pass(BlockingQueue<Integer> from, BlockingQueue<Integer> to) {
        try {
            for (int expected = 0;; expected++) {
                Integer got = from.take();
                if (got != expected) failed = "the queue gave " + got + " instead of " + expected;
                to.put(got);
                Thread.sleep(5);
            }
        } catch (InterruptedException problem) {
            failed = "a thread was interrupted";
        }
    }

    private static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException problem) {
            failed = "a thread was interrupted";
        }
    }

    private static void answer(HttpExchange exchange) throws IOException {
        String key = exchange.getRequestURI().getPath().substring(1);
        byte[] body = exchange.getRequestBody().readAllBytes();
        if (exchange.getRequestMethod().equals("POST")) {
            values.put(key, body);
            body = "stored".getBytes();
        } else if (key.equals("health")) {
            String text = failed != null ? "failed: " + failed : "ok " + ticks + " " + jobs + " " + collected;
            body = text.getBytes();
        } else {
            body = values.get(key);
        }
        exchange.sendResponseHeaders(body == null ? 404 : 200, body == null ? -1 : body.length);
        if (body != null) exchange.getResponseBody().write(body);
        exchange.close();
    }

    public static void main(String[] arguments) throws Exception {
        InetAddress loopback = InetAddress.getByAddress(new byte[] {127, 0, 0, 1});
        HttpServer server = HttpServer.create(new InetSocketAddress(loopback, Integer.parseInt(arguments[0])), 16);
        server.createContext("/", Server::answer);
        server.setExecutor(Executors.newFixedThreadPool(3));
        ScheduledExecutorService timers = Executors.newScheduledThreadPool(1);
        timers.scheduleWithFixedDelay(ticks::incrementAndGet, 20, 20, TimeUnit.MILLISECONDS);
        BlockingQueue<Integer> there = new ArrayBlockingQueue<>(4);
        BlockingQueue<Integer> back = new ArrayBlockingQueue<>(4);
        List<Runnable> tasks = List.of(Server::calculate, Server::litter, () -> pass(there, back), () -> {
            try {
                for (int number = 0;; number++) {
                    there.put(number);
                    if (back.take() != number) failed = "number " + number + " did not come back";
                }
            } catch (InterruptedException problem) {
                failed = "a thread was interrupted";
            }
        });
        for (Runnable task : tasks) {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            thread.start();
        }
        server.start();
    }
}
