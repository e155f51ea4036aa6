"""Who is acting, and how it is proven."""
